package sched_test

import (
	"math"
	"testing"
)

// atLeast returns the probability of hits or more of n where each has probability
// p. If it is below 0.01, then more than p is at work, at 99 % confidence.
func atLeast(hits, n int, p float64) float64 {
	if hits <= 0 {
		return 1
	}
	sum := 0.0
	for i := hits; i <= n; i++ {
		term := math.Exp(choice(n, i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
		sum += term
		if float64(i) > p*float64(n) && term < sum*1e-12 {
			break
		}
	}
	return min(sum, 1)
}

// choice returns the logarithm of the binomial coefficient.
func choice(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// uniform returns how probable it is that counts which are uniform over cells come
// out so uneven or more: the chi-square test.
func uniform(counts map[string]int, cells, total int) float64 {
	expected := float64(total) / float64(cells)
	x := expected * float64(cells-len(counts)) // those never met
	for _, c := range counts {
		x += (float64(c) - expected) * (float64(c) - expected) / expected
	}
	return chiTail(x, cells-1)
}

// fits is uniform for cells of these probabilities, which are all that there are.
func fits(counts map[string]int, probability map[string]float64, total int) float64 {
	x := 0.0
	for cell, p := range probability {
		d := float64(counts[cell]) - p*float64(total)
		x += d * d / (p * float64(total))
	}
	return chiTail(x, len(probability)-1)
}

// chiTail returns the probability of x or more with that many degrees of freedom:
// the upper incomplete gamma function, by its series or its continued fraction.
func chiTail(x float64, degrees int) float64 {
	a, x := float64(degrees)/2, x/2
	if x <= 0 {
		return 1
	}
	g, _ := math.Lgamma(a)
	scale := math.Exp(a*math.Log(x) - x - g)
	if x < a+1 {
		sum, term := 1/a, 1/a
		for n := 1.0; term > sum*1e-15; n++ {
			term *= x / (a + n)
			sum += term
		}
		return 1 - sum*scale
	}
	const tiny = 1e-300
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	h := d
	for n := 1.0; n < 10_000; n++ {
		an := -n * (n - a)
		b += 2
		d = 1 / nonzero(an*d+b)
		c = nonzero(b + an/c)
		h *= d * c
		if math.Abs(d*c-1) < 1e-14 {
			break
		}
	}
	return h * scale
}

func nonzero(x float64) float64 {
	if math.Abs(x) < 1e-300 {
		return 1e-300
	}
	return x
}

// The yardsticks themselves, against values from tables.
func TestYardsticks(t *testing.T) {
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"chi-square 3.841 of 1", chiTail(3.841459, 1), 0.05},
		{"chi-square 23.209 of 10", chiTail(23.209251, 10), 0.01},
		{"chi-square 3.940 of 10", chiTail(3.940299, 10), 0.95},
		{"chi-square 124.342 of 100", chiTail(124.342113, 100), 0.05},
		{"8 or more of 10 at 1/2", atLeast(8, 10, 0.5), 56.0 / 1024},
		{"1 or more of 3 at 1/10", atLeast(1, 3, 0.1), 0.271},
		{"even counts", uniform(map[string]int{"a": 10, "b": 10}, 2, 20), 1},
		{"a cell never met", uniform(map[string]int{"a": 10, "b": 10}, 3, 20), chiTail(10, 2)},
		{"as expected", fits(map[string]int{"a": 30, "b": 10}, map[string]float64{"a": 0.75, "b": 0.25}, 40), 1},
		{"never met", fits(nil, map[string]float64{"a": 0.75, "b": 0.25}, 40), chiTail(40, 1)},
	} {
		if math.Abs(c.got-c.want) > 1e-6 {
			t.Errorf("%s: %.8f, want %.8f", c.what, c.got, c.want)
		}
	}
}
