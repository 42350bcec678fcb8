package builtin

import (
	"math"
	"strconv"
	"strings"
	"time"

	"exigo/internal/expand"
)

// numberOperators calculate.
func numberOperators() []expand.Operator {
	evaluate := func(decimal bool) func(*expand.Scope, string, expand.Value) (expand.Value, error) {
		return func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
			n, err := evaluate(subject.S, decimal)
			return expand.Value{S: strconv.FormatInt(n, 10)}, err
		}
	}
	return []expand.Operator{
		{
			Name: "eval", Doc: "Evaluates an arithmetic expression.", Apply: evaluate(false),
			Examples: []expand.Example{
				{In: `${eval:1+1}`, Out: "2"}, {In: `${eval:1+2*3}`, Out: "7"}, {In: `${eval:(1+2)*3}`, Out: "9"}, {In: `${eval:2+42%5}`, Out: "4"},
				{In: `${eval:0xc&5}`, Out: "4"}, {In: `${eval:0xc|5}`, Out: "13"}, {In: `${eval:0xc^5}`, Out: "9"}, {In: `${eval:0xc>>1}`, Out: "6"},
				{In: `${eval:0xc<<1}`, Out: "24"}, {In: `${eval:~255&0x1234}`, Out: "4608"}, {In: `${eval:-(~255&0x1234)}`, Out: "-4608"},
				{In: `${eval:1/0}`, Err: `error in expression evaluation: divide by zero (after processing "1/0")`},
				{In: `${eval:1 1}`, Err: `error in expression evaluation: expecting operator (after processing "1 ")`},
				{In: `${eval:010}`, Out: "8"}, {In: `${eval:1K+1m}`, Out: "1049600"},
			},
		},
		{
			Name: "eval10", Doc: "Evaluates an arithmetic expression whose numbers are all decimal.", Apply: evaluate(true),
			Examples: []expand.Example{{In: `${eval10:010}`, Out: "10"}},
		},
		{
			Name: "time_eval", Doc: "Converts an interval such as 2d4h5m to seconds.", Apply: applyTimeEval,
			Examples: []expand.Example{
				{In: `${time_eval:2d4h5m}`, Out: "187500"}, {In: `${time_eval:5}`, Err: `string "5" is not an Exim time interval in "time_eval" operator`},
			},
		},
		{
			Name: "time_interval", Doc: "Converts seconds to an interval such as 1w3d4h2m6s.", Apply: applyTimeInterval,
			Examples: []expand.Example{
				{In: `${time_interval:694861}`, Out: "1w1d1h1m1s"}, {In: `${time_interval:0}`, Out: "0s"},
				{In: `${time_interval:x}`, Err: `string "x" is not a positive number in "time_interval" operator`},
			},
		},
		{
			Name: "randint", Doc: "Gives a random number less than the given one.", Apply: applyRandint,
			Examples: []expand.Example{{In: `${randint:1}`, Out: "0"}, {In: `${randint:x}`, Err: `integer expected but "x" found`}},
		},
	}
}

// calculator evaluates an expression with the priorities of C, from the lowest operator down to the numbers.
type calculator struct {
	text    string
	at      int
	depth   int
	decimal bool
	problem string
}

// evaluate gives the value of an arithmetic expression.
func evaluate(text string, decimal bool) (int64, error) {
	c := &calculator{text: text, decimal: decimal}
	n := c.or()
	if c.problem == "" && c.at < len(c.text) {
		c.problem = "expecting operator"
	}
	if c.problem != "" {
		return 0, expand.Fail("error in expression evaluation: %s (after processing \"%s\")", c.problem, c.text[:c.at])
	}
	return n, nil
}

func (c *calculator) skip() {
	for c.at < len(c.text) && strings.IndexByte(space, c.text[c.at]) >= 0 {
		c.at++
	}
}

// next reads the operator if it is what comes next.
func (c *calculator) next(operator string) bool {
	if c.problem == "" && strings.HasPrefix(c.text[c.at:], operator) {
		c.at += len(operator)
		return true
	}
	return false
}

func (c *calculator) or() int64 {
	n := c.xor()
	for c.next("|") {
		n |= c.xor()
	}
	return n
}

func (c *calculator) xor() int64 {
	n := c.and()
	for c.next("^") {
		n ^= c.and()
	}
	return n
}

func (c *calculator) and() int64 {
	n := c.shift()
	for c.next("&") {
		n &= c.shift()
	}
	return n
}

// shift shifts as the usual processors do: only the low six bits of the count are looked at.
func (c *calculator) shift() int64 {
	n := c.sum()
	for {
		switch {
		case c.next("<<"):
			n <<= uint64(c.sum()) & 63
		case c.next(">>"):
			n >>= uint64(c.sum()) & 63
		default:
			return n
		}
	}
}

func (c *calculator) sum() int64 {
	n := c.product()
	for {
		switch {
		case c.next("+"):
			m := c.product()
			if c.problem == "" && (m > 0 && n > math.MaxInt64-m || m < 0 && n < math.MinInt64-m) {
				c.problem = "overflow in sum"
			}
			n += m
		case c.next("-"):
			m := c.product()
			if c.problem == "" && (m < 0 && n > math.MaxInt64+m || m > 0 && n < math.MinInt64+m) {
				c.problem = "overflow in difference"
			}
			n -= m
		default:
			return n
		}
	}
}

func (c *calculator) product() int64 {
	n := c.unary()
	for {
		switch {
		case c.next("*"):
			n *= c.unary()
		case c.next("/"):
			if m := c.unary(); c.problem != "" {
				return n
			} else if m == 0 {
				c.problem = "divide by zero"
			} else if m == -1 {
				if n == math.MinInt64 {
					n = math.MaxInt64
				} else {
					n = -n
				}
			} else {
				n /= m
			}
		case c.next("%"):
			if m := c.unary(); c.problem != "" {
				return n
			} else if m == 0 {
				c.problem = "modulo by zero"
			} else if m == -1 {
				n = 0
			} else {
				n %= m
			}
		default:
			return n
		}
	}
}

func (c *calculator) unary() int64 {
	c.depth++
	defer func() { c.depth-- }()
	c.skip()
	switch {
	case c.problem != "":
		return 0
	case c.depth > 200:
		c.problem = "expression is nested too deeply"
		return 0
	case c.next("-"):
		return -c.unary()
	case c.next("+"):
		return c.unary()
	case c.next("~"):
		return ^c.unary()
	case c.next("("):
		n := c.or()
		if c.problem == "" && !c.next(")") {
			c.problem = "expecting closing parenthesis"
		}
		c.skip()
		return n
	}
	return c.number()
}

// number reads digits with an optional K, M or G. What is larger than the largest number is the largest number.
func (c *calculator) number() int64 {
	base, digits := 10, "0123456789"
	rest := c.text[c.at:]
	if rest == "" || rest[0] < '0' || rest[0] > '9' {
		c.problem = "expecting number or opening parenthesis"
		return 0
	}
	if !c.decimal && rest[0] == '0' {
		base, digits = 8, "01234567"
		if len(rest) > 1 && rest[1]|0x20 == 'x' {
			base, digits = 16, "0123456789abcdef"
			c.at += 2
		}
	}
	start := c.at
	for c.at < len(c.text) && strings.IndexByte(digits, lowerByte(c.text[c.at])) >= 0 {
		c.at++
	}
	n, err := strconv.ParseInt(c.text[start:c.at], base, 64)
	if start == c.at {
		n, err = 0, nil
	}
	if err != nil {
		n = math.MaxInt64
	}
	if c.at < len(c.text) {
		factor := map[byte]int64{'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30}[c.text[c.at]|0x20]
		if factor != 0 {
			c.at++
			n *= factor
		}
	}
	c.skip()
	return n
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// intervalUnits are Exim's units of time, in order.
var intervalUnits = [...]struct {
	letter  byte
	seconds int64
}{{'w', 7 * 24 * 3600}, {'d', 24 * 3600}, {'h', 3600}, {'m', 60}, {'s', 1}}

// ParseInterval reads an interval of time as Exim writes it: numbers each with one of w d h m s.
func ParseInterval(text string) (time.Duration, bool) {
	total := int64(0)
	if text == "" {
		return 0, false
	}
	for text != "" {
		digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
		n, err := strconv.ParseInt(text[:digits], 10, 32)
		if err != nil || digits == len(text) {
			return 0, false
		}
		seconds := int64(0)
		for _, u := range intervalUnits {
			if u.letter == text[digits] {
				seconds = u.seconds
			}
		}
		if seconds == 0 {
			return 0, false
		}
		if total += n * seconds; total > math.MaxInt64/int64(time.Second)/2 {
			return 0, false
		}
		text = text[digits+1:]
	}
	return time.Duration(total) * time.Second, true
}

// FormatInterval writes seconds as Exim does.
func FormatInterval(seconds int64) string {
	if seconds == 0 {
		return "0s"
	}
	var out []byte
	for _, u := range intervalUnits {
		if n := seconds / u.seconds; n > 0 {
			out = append(strconv.AppendInt(out, n, 10), u.letter)
			seconds %= u.seconds
		}
	}
	return string(out)
}

func applyTimeEval(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
	d, ok := ParseInterval(subject.S)
	if !ok {
		return expand.Value{}, expand.Fail("string \"%s\" is not an Exim time interval in \"time_eval\" operator", subject.S)
	}
	return expand.Value{S: strconv.FormatInt(int64(d/time.Second), 10)}, nil
}

func applyTimeInterval(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
	n, err := strconv.ParseInt("0"+subject.S, 10, 64)
	if err != nil {
		return expand.Value{}, expand.Fail("string \"%s\" is not a positive number in \"time_interval\" operator", subject.S)
	}
	return expand.Value{S: FormatInterval(n)}, nil
}

func applyRandint(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
	if trim(subject.S) == "" {
		return expand.Value{}, expand.Fail("integer expected but \"%s\" found", subject.S)
	}
	n, err := expand.Integer(subject.S)
	switch {
	case err != nil:
		return expand.Value{}, err
	case n < 0:
		return expand.Value{}, expand.Fail("non-negative integer expected but \"%s\" found", subject.S)
	case n <= 1:
		return expand.Value{S: "0"}, nil
	}
	return expand.Value{S: strconv.Itoa(s.Engine.World.Random.Intn(int(min(n, math.MaxInt32))))}, nil
}
