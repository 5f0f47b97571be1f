package fuzz

// sentences are what the properties say.
var sentences = map[string]string{
	noPanic:      "Whatever it is asked, the kernel answers, and does not panic.",
	noHang:       "Every call ends, but a kevent that waits for as long as it takes.",
	noDeadlock:   "When nothing runs any more, only those are asleep who wait in kevent for as long as it takes.",
	noLivelock:   "Nobody goes on for ever without getting anywhere.",
	oneInside:    "One thread at a time is in a domain, and what the domain guards is touched there only.",
	noLostWake:   "When nothing runs any more, nobody sleeps on a queue that has something to return, and who watches a queue knows of what that has.",
	wakingClose:  "Who sleeps on a queue when that is closed is woken, and answers EBADF.",
	invariants:   "When nothing runs any more, what the structures of the kernel say of each other holds.",
	noRace:       "What two threads touch, and one of them changes, they touch one after the other, by a lock or the like.",
	oneOrder:     "There is an order of the locks in which every thread takes them.",
	sameAgain:    "The same decisions make the same execution, each time: nothing decides but the scheduler.",
	linear:       "There is an order of the operations, each between its call and its return, in which the specification allows all that they answered.",
	afterTheEnd:  "What has been deleted, disabled or closed is returned by no call that begins after that.",
	atMostOnce:   "An event comes once: EV_ONESHOT in its life, EV_DISPATCH for each time that it is enabled, EV_CLEAR for each activation.",
	conservation: "What comes out has been put in: the bytes of a pipe, the udata of an event.",
	fullAnswer:   "Who waits for as long as it takes, with room, is answered with something.",
	completeness: "A call that returns nothing has not missed a queue that it watches, and that has had something all the time.",
}

// Sentence returns what the property says that does not hold; "" if there is no more to
// it than its name.
func (f *Finding) Sentence() string { return sentences[f.Property] }
