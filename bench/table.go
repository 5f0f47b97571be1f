package bench

import "io"

// Table writes records for people.
func Table(w io.Writer, recs []Record, color bool) {}
