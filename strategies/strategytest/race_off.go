//go:build !race

package strategytest

// crowd is how many times as long the crowds are as with -short: threads that
// are done before the next has begun meet nobody.
const crowd = 4
