module github.com/kqlab/kqlab

go 1.26
