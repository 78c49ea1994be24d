// SPDX-License-Identifier: Apache-2.0
// JSON: per round a generated document of some 20 KiB is parsed to a tree, and printed
// again, which gives the same text.
#include "speed.h"

enum { TEXT = 64 << 10, NODES = 8 << 10 };

enum type { NIL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT };

struct node {
	enum type type;
	uint32_t length; // of a string
	const char *key, *string;
	uint32_t key_length;
	double number;
	struct node *first, *next; // the first child, the next of its parent's
};

struct text {
	char bytes[TEXT];
	uint32_t length;
};

static struct text document, printed;
static struct node nodes[NODES];
static char strings[TEXT];
static uint32_t used_nodes, used_strings;
static const char *at;

static void put(struct text *t, char c)
{
	if (t->length == TEXT)
		abort();
	t->bytes[t->length++] = c;
}

static void put_word(struct text *t, const char *word)
{
	while (*word != 0)
		put(t, *word++);
}

static void put_string(struct text *t, const char *s, uint32_t length)
{
	static const char hex[] = "0123456789abcdef";
	put(t, '"');
	for (uint32_t i = 0; i < length; i++) {
		uint8_t c = (uint8_t)s[i];
		if (c == '"' || c == '\\') {
			put(t, '\\');
			put(t, (char)c);
		} else if (c == '\n') {
			put_word(t, "\\n");
		} else if (c < ' ') {
			put_word(t, "\\u00");
			put(t, hex[c >> 4]);
			put(t, hex[c & 15]);
		} else {
			put(t, (char)c);
		}
	}
	put(t, '"');
}

// put_number prints a number of at most four digits after the point.
static void put_number(struct text *t, double number)
{
	char digits[24];
	int n = 0;
	if (number < 0) {
		put(t, '-');
		number = -number;
	}
	uint64_t scaled = (uint64_t)(number * 10000 + 0.5);
	uint64_t whole = scaled / 10000, part = scaled % 10000;
	do
		digits[n++] = (char)('0' + whole % 10);
	while ((whole /= 10) != 0);
	while (n > 0)
		put(t, digits[--n]);
	if (part == 0)
		return;
	put(t, '.');
	for (uint64_t unit = 1000; part != 0; unit /= 10) {
		put(t, (char)('0' + part / unit));
		part %= unit;
	}
}

static void print(struct text *t, const struct node *n)
{
	switch (n->type) {
	case NIL:
		put_word(t, "null");
		break;
	case FALSE:
		put_word(t, "false");
		break;
	case TRUE:
		put_word(t, "true");
		break;
	case NUMBER:
		put_number(t, n->number);
		break;
	case STRING:
		put_string(t, n->string, n->length);
		break;
	case ARRAY:
	case OBJECT:
		put(t, n->type == ARRAY ? '[' : '{');
		for (const struct node *c = n->first; c != NULL; c = c->next) {
			if (n->type == OBJECT) {
				put_string(t, c->key, c->key_length);
				put(t, ':');
			}
			print(t, c);
			if (c->next != NULL)
				put(t, ',');
		}
		put(t, n->type == ARRAY ? ']' : '}');
		break;
	}
}

static void space(void)
{
	while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
		at++;
}

static void expect(char c)
{
	space();
	if (*at++ != c)
		abort();
}

static void expect_word(const char *word)
{
	while (*word != 0)
		if (*at++ != *word++)
			abort();
}

static char parse_hex(void)
{
	uint32_t value = 0;
	for (int i = 0; i < 4; i++) {
		char c = *at++;
		value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	}
	return (char)value; // none above 127 in these documents
}

static const char *parse_string(uint32_t *length)
{
	char *s = strings + used_strings;
	uint32_t n = 0;
	expect('"');
	for (; *at != '"'; n++) {
		if (used_strings + n == TEXT || *at == 0)
			abort();
		char c = *at++;
		if (c == '\\') {
			c = *at++;
			if (c == 'n')
				c = '\n';
			else if (c == 'u')
				c = parse_hex();
		}
		s[n] = c;
	}
	at++;
	used_strings += n;
	*length = n;
	return s;
}

static double parse_number(void)
{
	double sign = 1, unit = 1;
	uint64_t value = 0;
	if (*at == '-') {
		sign = -1;
		at++;
	}
	for (; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9'; at++, unit *= 10)
			value = value * 10 + (uint64_t)(*at - '0');
	return sign * (double)value / unit;
}

static struct node *parse(void);

// parse_children reads what is in an array or an object.
static void parse_children(struct node *n, char end)
{
	struct node **last = &n->first;
	at++;
	for (space(); *at != end; space()) {
		const char *key = NULL;
		uint32_t length = 0;
		if (n->first != NULL)
			expect(',');
		if (end == '}') {
			key = parse_string(&length);
			expect(':');
		}
		struct node *child = parse();
		child->key = key;
		child->key_length = length;
		*last = child;
		last = &child->next;
	}
	at++;
}

static struct node *parse(void)
{
	if (used_nodes == NODES)
		abort();
	struct node *n = &nodes[used_nodes++];
	memset(n, 0, sizeof(*n));
	space();
	switch (*at) {
	case 'n':
		expect_word("null");
		n->type = NIL;
		break;
	case 'f':
		expect_word("false");
		n->type = FALSE;
		break;
	case 't':
		expect_word("true");
		n->type = TRUE;
		break;
	case '"':
		n->type = STRING;
		n->string = parse_string(&n->length);
		break;
	case '[':
		n->type = ARRAY;
		parse_children(n, ']');
		break;
	case '{':
		n->type = OBJECT;
		parse_children(n, '}');
		break;
	default:
		n->type = NUMBER;
		n->number = parse_number();
	}
	return n;
}

static void generate_string(struct text *t, uint64_t *state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz  ABCDEFGHIJ.,-_\"\\\n\t";
	char s[40];
	uint32_t length = 4 + rnd(state) % 36;
	for (uint32_t i = 0; i < length; i++)
		s[i] = letters[rnd(state) % (sizeof(letters) - 1)];
	put_string(t, s, length);
}

static void generate(struct text *t, uint64_t *state, int depth)
{
	uint32_t kind = rnd(state) % 6, children = 8;
	if (depth == 0) {
		if (kind < 2)
			put_number(t, (rnd(state) % 20000000 - 10000000.0) / 10000);
		else if (kind < 5)
			generate_string(t, state);
		else
			put_word(t, rnd(state) % 2 == 0 ? "null" : "true");
		return;
	}
	put(t, kind < 2 ? '[' : '{');
	for (uint32_t i = 0; i < children; i++) {
		if (kind >= 2) {
			generate_string(t, state);
			put(t, ':');
		}
		generate(t, state, depth - 1);
		if (i + 1 < children)
			put(t, ',');
	}
	put(t, kind < 2 ? ']' : '}');
}

static uint64_t work(uint32_t rounds)
{
	uint64_t sum = 0, state = 1;
	for (uint32_t round = 0; round < rounds; round++) {
		document.length = printed.length = used_nodes = used_strings = 0;
		generate(&document, &state, 3);
		put(&document, 0);
		at = document.bytes;
		print(&printed, parse());
		put(&printed, 0);
		if (printed.length != document.length ||
			memcmp(printed.bytes, document.bytes, printed.length) != 0)
			abort();
		for (uint32_t i = 0; i < printed.length; i++)
			sum = mix(sum, (uint8_t)printed.bytes[i]);
	}
	return sum;
}
