// Package kqueue is one kqueue, written once, that runs under any locking.
package kqueue
