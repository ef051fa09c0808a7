// Package redisreplay remembers nonces in Redis, for a service with several instances. It uses one
// connection to Redis, without TLS or a password. To use your own Redis client, change only Store.do.
package redisreplay

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
)

// The keys and scripts are those of redisReplay in @countersign/identity, so instances in Go and in Node.js share nonces.
const (
	prefix = "countersign:replay:"
	since  = prefix + "since"
)

// claimScript claims a nonce in one step. KEYS: nonce, since. ARGV: the second of its creation, its lifetime in
// milliseconds. If `since` is missing, Redis lost its data, so older nonces are unknown.
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
	sum := sha1.Sum([]byte(claimScript)) // EVALSHA names a script by its SHA-1.
	return hex.EncodeToString(sum[:])
}()

// OnUnavailable decides about requests while Redis does not answer, and about requests older than the nonces in Redis.
type OnUnavailable int

const (
	// Reads accepts GET and HEAD that this process has not accepted, and refuses other requests with 503. A captured GET
	// can then be replayed once in each other process, until it expires.
	Reads OnUnavailable = iota
	// Refuse refuses all requests with 503.
	Refuse
	// Memory accepts every request that this process has not accepted.
	Memory
)

// retryAfter is the pause after Redis did not answer. Then one claim tries Redis, and no other claim waits for it.
const retryAfter = 200 * time.Millisecond

var errDown = errors.New("redis did not answer a moment ago")

// Store is an identity.ReplayStore. Redis must not evict keys (maxmemory-policy noeviction).
type Store struct {
	// Address is the host and port of Redis.
	Address string
	// Timeout is how long a claim waits for Redis.
	Timeout time.Duration
	// OnUnavailable is by default Reads.
	OnUnavailable OnUnavailable
	// GatewayAhead is the maximum by which the gateway's clock is ahead of Redis' clock. After Redis lost its data,
	// requests are refused for this time longer.
	GatewayAhead time.Duration

	once    sync.Once
	memory  *identity.MemoryReplay // Receives every claim, so that this process accepts no nonce twice.
	retryAt atomic.Int64           // In Unix nanoseconds. 0 while Redis answers.

	mu         sync.Mutex
	connection net.Conn
	reader     *bufio.Reader
}

// Claim implements identity.ReplayStore.
func (s *Store) Claim(ctx context.Context, c identity.Claim) error {
	s.once.Do(func() { s.memory = identity.NewMemoryReplay() })
	alone := s.memory.Claim(ctx, c)
	if alone != nil && !errors.Is(alone, identity.ErrCreatedBeforeStart) {
		return alone
	}
	err := s.claimUnlessDown(ctx, c)
	isCertain := err == nil || errors.Is(err, identity.ErrReplayed)
	if !isCertain && (s.OnUnavailable == Memory || s.OnUnavailable == Reads && c.IsRead) {
		return alone
	}
	return err
}

func (s *Store) claimUnlessDown(ctx context.Context, c identity.Claim) error {
	retryAt := s.retryAt.Load()
	if retryAt != 0 {
		now := time.Now()
		// The claim that tries Redis moves the time, so that other claims need not wait.
		next := now.Add(s.Timeout + retryAfter).UnixNano()
		if now.UnixNano() < retryAt || !s.retryAt.CompareAndSwap(retryAt, next) {
			return errDown
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if retryAt == 0 && s.retryAt.Load() != 0 {
		return errDown // Redis failed while this claim waited for its turn.
	}
	err := s.claimInRedis(ctx, c)
	var refused identity.RefusedError
	if err == nil || errors.As(err, &refused) {
		if retryAt != 0 {
			slog.Info("Redis answers again: nonces are shared")
			s.retryAt.Store(0)
		}
		return err
	}
	if retryAt == 0 {
		slog.Warn("Redis does not answer: nonces are not shared", "onUnavailable", s.OnUnavailable, "error", err)
	}
	s.retryAt.Store(time.Now().Add(retryAfter).UnixNano())
	return err
}

func (s *Store) claimInRedis(ctx context.Context, c identity.Claim) error {
	created := c.Created - int64(s.GatewayAhead/time.Second)
	lifetime := (c.KeepUntil - c.Now + 1) * 1000
	claim := []string{
		"EVALSHA", claimSHA, "2", prefix + c.Audience + " " + c.Nonce, since, strconv.FormatInt(created, 10),
		strconv.FormatInt(lifetime, 10),
	}
	verdict, err := s.do(ctx, claim...)
	if isNoScript(err) {
		// A restart of Redis removes the script, and may lose older nonces. The order ensures that another instance that
		// finds the script also finds the new beginning.
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

// replyError is an error reply of Redis. The connection stays usable.
type replyError string

func (e replyError) Error() string { return "redis: " + string(e) }

func isNoScript(err error) bool {
	var reply replyError
	return errors.As(err, &reply) && strings.HasPrefix(string(reply), "NOSCRIPT")
}

// do sends one command and returns its reply.
func (s *Store) do(ctx context.Context, command ...string) (string, error) {
	reply, err := s.exchange(ctx, command)
	// After an error reply, Redis reads the next command. After other errors, the connection may hold half a reply.
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
		// A caller that disconnects does not mean that Redis is down.
		connection, err := dialer.DialContext(context.WithoutCancel(ctx), "tcp", s.Address)
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
