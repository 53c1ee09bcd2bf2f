// Command engine runs one server of an engine, for tests. It ends when its standard input does,
// so that it never outlives the test that has started it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"example.com/chatroom/natsroom/natstest"
)

func main() {
	var n natstest.Node
	var routes string
	flag.StringVar(&n.Name, "name", "engine", "name of the server")
	flag.StringVar(&n.Dir, "dir", "", "where the server stores")
	flag.StringVar(&n.Addr, "addr", "127.0.0.1:0", "where clients connect")
	flag.StringVar(&n.Cluster, "cluster", "", "where the other servers connect")
	flag.StringVar(&routes, "routes", "", "cluster addresses of all servers, separated by commas")
	flag.BoolVar(&n.Sync, "sync", false, "sync before acknowledging")
	flag.Parse()
	if routes != "" {
		n.Routes = strings.Split(routes, ",")
	}
	s, err := n.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with whoever has started it
	s.Close()
}
