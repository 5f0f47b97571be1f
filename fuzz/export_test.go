package fuzz

// Overtaken is for the tests, which stand outside.
var Overtaken = overtaken
