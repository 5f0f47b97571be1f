package main

import (
	"github.com/kqlab/kqlab/cli"
	"github.com/kqlab/kqlab/strategies"
)

func main() {
	cli.Main(strategies.Entry{Name: "mystrategy", Doc: "a token for each source, a mutex and a letter box for each queue", New: New})
}
