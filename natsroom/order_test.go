//go:build unix

package natsroom_test

import (
	"testing"
)

// What is said on one server is heard on all, and by its sender on none.
func TestOrderShares(t *testing.T) {
	urls := shared.get(t).URLs()
	sites := newSites(t, urls, 3, siteConfig{})
	alice, bob, carol := sites[0].Join("alice"), sites[1].Join("bob"), sites[2].Join("carol")
	alice.Send("hello")
	bob.Want("alice", "hello")
	carol.Want("alice", "hello")
	bob.Send("hi")
	alice.Want("bob", "hi")
	carol.Want("bob", "hi")
}
