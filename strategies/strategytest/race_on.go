//go:build race

package strategytest

// crowd is how many times as long the crowds are as with -short. Under the race
// detector everything takes ten times as long.
const crowd = 1
