package bench

import (
	"encoding/json"
	"fmt"
	"io"
)

// A Record is one metric of one strategy at one parameter set, over all rounds.
type Record struct {
	Workload   string         `json:"workload"`
	Parameters map[string]any `json:"parameters"`
	Strategy   string         `json:"strategy"` // empty for a reference
	Metric     string         `json:"metric"`   // such as ns/event
	Unit       string         `json:"unit"`     // ns, x (a ratio) or 1 (a count)
	Median     float64        `json:"median"`
	Min        float64        `json:"min"`
	Max        float64        `json:"max"`
	Rounds     int            `json:"rounds"`
	Seed       uint64         `json:"seed"`
	Machine    string         `json:"machine"`
	Go         string         `json:"go"`
	Partial    bool           `json:"partial,omitempty"` // the run was cancelled

	values []float64 // one a round
}

// WriteJSON writes records as JSON lines.
func WriteJSON(w io.Writer, recs []Record) error {
	enc := json.NewEncoder(w)
	for i := range recs {
		if err := enc.Encode(&recs[i]); err != nil {
			return fmt.Errorf("bench: record %d: %w", i, err)
		}
	}
	return nil
}
