// Package redisreplay remembers nonces in Redis, for a service with several instances. It speaks to Redis over one
// connection, without TLS or a password: with a Redis client of your own, only Store.do changes.
package redisreplay

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
)

// The keys and scripts are those of redisReplay in @countersign/identity, so instances in Go and in Node.js share nonces.
const (
	prefix = "countersign:replay:"
	since  = prefix + "since"
)

// claimScript claims a nonce in one step. KEYS: nonce, since. ARGV: the second of its creation, its lifetime in
// milliseconds. Without `since`, Redis lost its data, so nonces from before are unknown.
const claimScript = `
local since = redis.call('GET', KEYS[2])
if not since then
  since = redis.call('TIME')[1] + 1
  redis.call('SET', KEYS[2], since)
end
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[2]) then return 'replayed' end
if tonumber(ARGV[1]) < tonumber(since) then return 'before_start' end
return 'fresh'`

// startScript restarts the memory at the next second, for a Redis that may have been restored from an old snapshot.
const startScript = `redis.call('SET', KEYS[1], redis.call('TIME')[1] + 1)`

var claimSHA = func() string {
	sum := sha1.Sum([]byte(claimScript)) // Redis names scripts so.
	return hex.EncodeToString(sum[:])
}()

// Store is an identity.ReplayStore. Redis must not evict keys (maxmemory-policy noeviction).
type Store struct {
	// Address is the host and port of Redis.
	Address string
	// Timeout is how long a claim waits for Redis. Then the request is answered 503.
	Timeout time.Duration
	// GatewayAhead is how far the gateway's clock may be ahead of that of Redis. After Redis lost its data, requests are
	// refused for that much longer.
	GatewayAhead time.Duration

	mu         sync.Mutex
	connection net.Conn
	reader     *bufio.Reader
}

// Claim implements identity.ReplayStore.
func (s *Store) Claim(ctx context.Context, c identity.Claim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	created := c.Created - int64(s.GatewayAhead/time.Second)
	lifetime := (c.KeepUntil - c.Now + 1) * 1000
	claim := []string{
		"EVALSHA", claimSHA, "2", prefix + c.Audience + " " + c.Nonce, since, strconv.FormatInt(created, 10),
		strconv.FormatInt(lifetime, 10),
	}
	verdict, err := s.do(ctx, claim...)
	if isNoScript(err) {
		// The script does not survive a restart of Redis, and then older nonces may be gone. In this order, so that
		// another instance that finds the script also finds the new beginning.
		if _, err := s.do(ctx, "EVAL", startScript, "1", since); err != nil {
			return err
		}
		if _, err := s.do(ctx, "SCRIPT", "LOAD", claimScript); err != nil {
			return err
		}
		verdict, err = s.do(ctx, claim...)
	}
	switch {
	case err != nil:
		return err
	case verdict == "fresh":
		return nil
	case verdict == "replayed":
		return identity.ErrReplayed
	case verdict == "before_start":
		return identity.ErrCreatedBeforeStart
	}
	return fmt.Errorf("redis answered %q", verdict)
}

// replyError is an error that Redis answered. The connection is still good.
type replyError string

func (e replyError) Error() string { return "redis: " + string(e) }

func isNoScript(err error) bool {
	var reply replyError
	return errors.As(err, &reply) && strings.HasPrefix(string(reply), "NOSCRIPT")
}

// do sends one command and returns its reply.
func (s *Store) do(ctx context.Context, command ...string) (string, error) {
	reply, err := s.exchange(ctx, command)
	// After an error of its own, Redis reads the next command. After another one, the connection may hold half a reply.
	var answered replyError
	if err != nil && !errors.As(err, &answered) && s.connection != nil {
		s.connection.Close()
		s.connection = nil
	}
	return reply, err
}

func (s *Store) exchange(ctx context.Context, command []string) (string, error) {
	deadline := time.Now().Add(s.Timeout)
	if s.connection == nil {
		dialer := net.Dialer{Deadline: deadline}
		connection, err := dialer.DialContext(ctx, "tcp", s.Address)
		if err != nil {
			return "", err
		}
		s.connection, s.reader = connection, bufio.NewReader(connection)
	}
	if err := s.connection.SetDeadline(deadline); err != nil {
		return "", err
	}
	request := fmt.Appendf(nil, "*%d\r\n", len(command))
	for _, argument := range command {
		request = fmt.Appendf(request, "$%d\r\n%s\r\n", len(argument), argument)
	}
	if _, err := s.connection.Write(request); err != nil {
		return "", err
	}
	return s.readReply()
}

// readReply reads a simple reply or a bulk string. The scripts return nothing else.
func (s *Store) readReply() (string, error) {
	line, err := s.reader.ReadString('\n')
	if err != nil || len(line) < 3 {
		return "", errors.Join(errors.New("redis: no reply"), err)
	}
	rest := line[1 : len(line)-2]
	switch line[0] {
	case '+', ':':
		return rest, nil
	case '-':
		return "", replyError(rest)
	case '$':
		length, err := strconv.Atoi(rest)
		if err != nil || length < 0 { // The reply to a script without a result.
			return "", err
		}
		bulk := make([]byte, length+2)
		_, err = io.ReadFull(s.reader, bulk)
		return string(bulk[:length]), err
	}
	return "", fmt.Errorf("redis: unexpected reply %q", line)
}
