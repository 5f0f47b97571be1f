//go:build linux && !amd64

package host

import "golang.org/x/sys/unix"

const sysEpollWait = unix.SYS_EPOLL_PWAIT
