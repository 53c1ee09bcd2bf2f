package natsroom

// Stats holds figures of an [Order] at one moment. The counts begin when it is opened.
type Stats struct {
	State   State
	Servers int // that share the order, as of their last beats
	Members int // of all of them

	Submitted uint64 // batches that the server has given the order
	Published uint64 // messages that the stream has acknowledged, beats included
	Retries   uint64 // attempts to publish one that have failed
	UnderWay  int    // bytes that have not come back
	Waiting   int    // calls of Submit that wait
	Paced     bool   // publishing waits for servers that are far behind

	Behind    uint64 // messages of the stream that the server has not read, as far as it knows
	Repeats   uint64 // messages that were read before, and were dropped
	Malformed uint64 // messages that were skipped
	Gaps      uint64 // times that messages were missed and the members disconnected
	Lost      uint64 // own batches of which the server does not know whether others have them
}

// counts are the figures that only grow, and how many members the server had at its last beat.
type counts struct {
	members                                                       int
	submitted, published, retries, repeats, malformed, gaps, lost uint64
}

// Stats returns the current figures.
func (o *Order) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, _ := o.peers.members()
	return Stats{
		State:     o.state,
		Servers:   len(o.peers.all),
		Members:   int(all),
		Submitted: o.counts.submitted,
		Published: o.counts.published,
		Retries:   o.counts.retries,
		UnderWay:  o.out.bytes,
		Waiting:   len(o.turns),
		Paced:     o.peers.paced,
		Behind:    o.at.behind(),
		Repeats:   o.counts.repeats,
		Malformed: o.counts.malformed,
		Gaps:      o.counts.gaps,
		Lost:      o.counts.lost,
	}
}
