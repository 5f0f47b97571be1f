// Package fuzz tests kqueue under any strategy with concurrent scripts, written
// by hand or drawn at random.
//
// A script (package script) runs on a native machine of two CPUs: truly in
// parallel, so each round has an interleaving of its own, which no seed
// repeats. What each thread called and was answered is recorded, and then
// checked: see [Run]. A run can be perturbed, so that threads meet in more ways.
//
//	s, err := script.Parse(name, text)
//	r := fuzz.Run(s, fuzz.Options{New: pcpu.New})
//	fmt.Println(r.Finding)
//
// [Concurrent] and [Sequential] draw scripts, and a [Campaign] runs those, one
// after another and side by side, until something is wrong. An [Exploration] does so
// on a virtual machine, where a seed repeats all. A failure is a file: a script
// with its history in comments, so that it runs again as it is ([Report.Save]).
// [Shrink] makes that of a campaign smaller, [Reduce] that of an exploration. One of
// a kept scenario is a [Token] too, of a line. A [Trace] has an execution step by step.
package fuzz
