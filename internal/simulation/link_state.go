package simulation

import "time"

// A linkState is what can be seen of a link at one moment.
type linkState struct {
	kind             linkKind
	there            bool // the client has not closed or reset
	eager            bool // the client is there and takes whatever comes
	closing, closed  bool // by the server
	closingSince     time.Time
	abandoned        bool // closing it dropped what was unsent
	dropped, unread  int
	inbound          int // bytes that the server has not read yet
	misused          string
	taken, written   int64
	reading, writing bool
	replying         bool // a read waits for what it writes
	cutReply         bool // what a read wrote has failed, which ends the connection
	readSince        time.Time
	hungry           time.Time
	starving         bool
}

func (l *link) look() linkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return linkState{
		kind:         l.kind,
		there:        l.refuse == nil,
		eager:        l.refuse == nil && l.credit == unlimited,
		closing:      l.closing,
		closed:       l.closed,
		closingSince: l.closingSince,
		abandoned:    !l.lingers,
		dropped:      l.dropped,
		unread:       l.unread,
		inbound:      len(l.in),
		misused:      l.misused,
		taken:        l.taken,
		written:      l.written,
		reading:      l.reading,
		writing:      l.writing,
		replying:     l.replying,
		cutReply:     l.cutReply,
		readSince:    l.readSince,
		hungry:       l.hungry,
		starving:     l.starving,
	}
}
