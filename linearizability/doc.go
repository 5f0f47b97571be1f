// Package linearizability says whether what threads saw of a kqueue can be: a
// [Recorder] takes down a [History], and [Check] holds it against the
// specification.
//
// A call of kevent(2) is not atomic: each change is a step, and each event that
// it returns is one. The kernel names the instant of each step, and if they are
// known they are an order of all steps to try first: it explains nearly all
// histories, in less time than the operations took. It is a proof if every step
// is allowed, and shows nothing if one is not.
//
// Then the history is projected onto each knote, (kqueue, ident, filter): a call
// becomes the steps "began", "applied this change", and one of
// "returned it with data d", "did not return it though there was room" (a call
// that timed out among them), "was asleep at the end". A close becomes "number
// free", "knotes gone", "file released". A projection is right if all its steps
// can be put in one order that the specification allows, each inside its call
// and after the step before it. One order is guessed; where the guess is wrong
// porcupine searches.
//
// A poll(2) or select(2) is one look for each of its entries, somewhere in the call,
// and no step that others see: in the order of the commit points it must be among
// what there was to be seen, and each look is a projection onto its descriptor. An
// item of an epoll is projected as a knote is, under the udata that it is returned by.
//
// That a thread sleeps at the end is a step after all others, so a lost wakeup
// is found without a clock: there the knote must have nothing to deliver.
//
// What is not checked is named in the report and never passes for right:
// projections whose search is over its limit, and knotes, items and entries that
// watch a kqueue or an epoll in a history that its commit points do not explain.
package linearizability
