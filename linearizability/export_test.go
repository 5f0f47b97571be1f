package linearizability

// RaceEnabled says that the race detector is on.
const RaceEnabled = raceEnabled

// Replayed says whether the commit points of a history explain it.
func Replayed(h History, weak bool) bool { return new(replay).explains(h, weak, 0) }
