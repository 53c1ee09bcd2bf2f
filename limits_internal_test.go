package chatroom

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{left: 10}
		waits := func(s *share, n int64) (got chan error, cancel context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			got = make(chan error, 1)
			go func() { got <- s.grow(ctx, n) }()
			synctest.Wait()
			return got, cancel
		}
		shares := make([]share, 5)
		for i := range shares {
			shares[i].of = b
		}
		require.True(t, shares[0].tryGrow(6))
		require.True(t, shares[1].tryGrow(4))
		require.False(t, shares[1].tryGrow(1), "nothing is left")

		over, _ := waits(&shares[1], 3)
		require.NoError(t, <-over, "one may take more than is left")
		require.True(t, shares[1].tryGrow(5), "and go on")
		first, giveUp := waits(&shares[2], 7)
		second, _ := waits(&shares[3], 1)
		require.Empty(t, first)
		require.Empty(t, second)
		shares[0].shrink(0)
		synctest.Wait()
		require.Empty(t, first, "the second took more than was left")
		require.False(t, shares[4].tryGrow(1), "who came later waits")

		shares[1].shrink(2)
		synctest.Wait()
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		require.EqualValues(t, 0, b.left)
		third, _ := waits(&shares[1], 1)
		require.NoError(t, <-third, "again one may take more than is left")
		fourth, giveUpFourth := waits(&shares[0], 100)
		require.Empty(t, fourth)
		fifth, _ := waits(&shares[4], 1)
		giveUpFourth()
		require.ErrorIs(t, <-fourth, context.Canceled)
		require.Empty(t, fifth)
		shares[2].shrink(5)
		require.NoError(t, <-fifth)
		giveUp() // too late
		for i := range shares {
			shares[i].shrink(0)
		}
		assert.EqualValues(t, 10, b.left)
		assert.Nil(t, b.over)
	})
}

// However many take in small steps, each becomes whole.
func TestBudgetUnderLoad(t *testing.T) {
	b := &budget{left: 50}
	var users sync.WaitGroup
	for range 20 {
		users.Go(func() {
			s := share{of: b}
			for range 100 {
				for range 10 {
					if !s.tryGrow(1) && !assert.NoError(t, s.grow(t.Context(), 1)) {
						return
					}
				}
				s.shrink(0)
			}
		})
	}
	users.Wait()
	assert.EqualValues(t, 50, b.left)
}
