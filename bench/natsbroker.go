//go:build linux

package main

import (
	"github.com/centrifugal/centrifuge"
	"github.com/nats-io/nats.go"
)

const (
	brokerChannels = "channel." // precedes a channel in subjects
	brokerControl  = "control"  // what is for all nodes
	brokerNode     = "node."    // precedes a node's ID
)

// A natsBroker has centrifuge nodes share their channels through subjects of nats-server. The
// library has an example of such a broker, which sends JSON. This one sends bare texts, which costs
// less. Like that one it keeps no history.
type natsBroker struct {
	node   *centrifuge.Node
	nc     *nats.Conn
	events centrifuge.BrokerEventHandler
}

var (
	_ centrifuge.Broker     = (*natsBroker)(nil)
	_ centrifuge.Controller = (*natsBroker)(nil)
)

func newNATSBroker(node *centrifuge.Node, urls string) (*natsBroker, error) {
	nc, err := nats.Connect(urls, nats.MaxReconnects(-1))
	if err != nil {
		return nil, err
	}
	return &natsBroker{node: node, nc: nc}, nil
}

func (b *natsBroker) RegisterBrokerEventHandler(h centrifuge.BrokerEventHandler) error {
	b.events = h
	return nil
}

func (b *natsBroker) RegisterControlEventHandler(h centrifuge.ControlEventHandler) error {
	handle := func(m *nats.Msg) { _ = h.HandleControl(m.Data) } // the node logs what fails
	if _, err := b.nc.Subscribe(brokerControl, handle); err != nil {
		return err
	}
	_, err := b.nc.Subscribe(brokerNode+b.node.ID(), handle)
	return err
}

// Subscribe is called with the first subscriber of a channel on this node.
func (b *natsBroker) Subscribe(channel string) error {
	_, err := b.nc.Subscribe(brokerChannels+channel, func(m *nats.Msg) {
		pub := &centrifuge.Publication{Data: m.Data}
		_ = b.events.HandlePublication(channel, pub, centrifuge.StreamPosition{}, false, nil) // the node logs what fails
	})
	return err
}

// Unsubscribe does nothing: the load's members stay.
func (b *natsBroker) Unsubscribe(string) error { return nil }

func (b *natsBroker) Publish(channel string, data []byte, _ centrifuge.PublishOptions) (centrifuge.StreamPosition, bool, error) {
	return centrifuge.StreamPosition{}, false, b.nc.Publish(brokerChannels+channel, data)
}

func (b *natsBroker) PublishControl(data []byte, nodeID, _ string) error {
	if nodeID == "" {
		return b.nc.Publish(brokerControl, data)
	}
	return b.nc.Publish(brokerNode+nodeID, data)
}

func (b *natsBroker) PublishJoin(string, *centrifuge.ClientInfo) error {
	return centrifuge.ErrorNotAvailable
}

func (b *natsBroker) PublishLeave(string, *centrifuge.ClientInfo) error {
	return centrifuge.ErrorNotAvailable
}

func (b *natsBroker) History(string, centrifuge.HistoryOptions) ([]*centrifuge.Publication, centrifuge.StreamPosition, error) {
	return nil, centrifuge.StreamPosition{}, centrifuge.ErrorNotAvailable
}

func (b *natsBroker) RemoveHistory(string) error { return centrifuge.ErrorNotAvailable }
