package netconn_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/netconn"
	"github.com/kqlab/kqlab/strategies/pcpu"
)

// Serve HTTP over the sockets of a kernel.
func Example() {
	m := machine.Native(2)
	k := kqueue.New(m, pcpu.New(m)) // or any other strategy
	device.Install(k)
	stack := netconn.New(k)
	defer stack.Close()

	l, err := stack.Listen(80)
	if err != nil {
		fmt.Println(err)
		return
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s", r.URL.Path[1:])
	})}
	go server.Serve(l)
	defer server.Close()

	client := http.Client{Transport: &http.Transport{DialContext: stack.DialContext}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://kqlab/knote")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body), err)
	// Output: 200 OK hello, knote <nil>
}

// A connection, as any other of package net.
func ExampleStack_Dial() {
	m := machine.Native(1)
	k := kqueue.New(m, pcpu.New(m))
	device.Install(k)
	stack := netconn.New(k)
	defer stack.Close()

	l, err := stack.Listen(7)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.Copy(c, c)
		c.Close()
	}()

	c, err := stack.Dial(7)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "echo")
	c.CloseWrite()
	b, err := io.ReadAll(c)
	fmt.Printf("%s, %v, from %v\n", b, err, c.RemoteAddr())
	// Output: echo, <nil>, from kqlab:7
}
