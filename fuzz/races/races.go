// Package races tells which execution of a virtual machine a report of the race detector
// is of. In a build without the detector it does nothing, and finds none.
package races
