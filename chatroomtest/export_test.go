package chatroomtest

import (
	"net"
	"testing"
)

// A SuiteCase is a case of a suite, for tests of the suites.
type SuiteCase struct {
	Name string
	Test func(tb testing.TB)
}

func exportCases[R any](cases []suiteCase[R], start func(*suiteRun) R) []SuiteCase {
	var all []SuiteCase
	for _, c := range cases {
		all = append(all, SuiteCase{c.name, func(tb testing.TB) { runCase(tb, c, start, hangTimeout) }})
	}
	return all
}

func ServerCases(start func(tb testing.TB) func() (net.Conn, error)) []SuiteCase {
	return exportCases(serverCases(), startServerRun(start))
}

func ClientCases(start func(tb testing.TB) (net.Listener, JoinFunc)) []SuiteCase {
	return exportCases(clientCases(), startClientRun(start))
}

func ListenerCases(newListener func(tb testing.TB) (net.Listener, DialFunc)) []SuiteCase {
	return exportCases(listenerCases(), startListenerRun(newListener))
}

var ParseWire = parseWire

// RunScript is runScript, for scripts that are to fail.
var RunScript = runScript

// Pipe returns the two ends of a connection of NewListener's.
func Pipe() (a, b net.Conn) { return newPipe(Addr(network+":a"), Addr(network+":b")) }
