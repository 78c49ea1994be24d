// SPDX-License-Identifier: Apache-2.0
// Regular expressions: a matcher that goes back, for characters, ".", classes, groups,
// "|", "*", "+" and "?"; per round it searches 200 generated lines for six patterns.
#include "speed.h"

enum { LINES = 200, LINE = 64, PROGRAM = 256 };

enum op { CHAR, ANY, CLASS, SPLIT, JUMP, MATCH };

struct instruction {
	enum op op;
	char c;
	int x, y;        // where to go on; SPLIT prefers x
	uint32_t set[4]; // of a class, a bit for each ASCII character
};

static const char *const patterns[] = {
	"[a-z]+@[a-z]+.(com|org|net)",
	"(GET|POST) /[a-z/]*",
	"[0-9]+-[0-9]+-[0-9]+",
	"(a|b)*abb",
	"x[^ ]*y[^ ]*z",
	"[A-Z][a-z]+ [A-Z][a-z]+",
};

static struct instruction program[PROGRAM];
static int length;
static const char *pattern;
static char lines[LINES][LINE];

static int emit(enum op op)
{
	if (length == PROGRAM)
		abort();
	memset(&program[length], 0, sizeof(program[length]));
	program[length].op = op;
	return length++;
}

// insert puts an instruction in front of those since start, to which nothing from
// before start jumps yet.
static void insert(int start, enum op op)
{
	emit(op);
	for (int i = length - 1; i > start; i--) {
		program[i] = program[i - 1];
		program[i].x += program[i].x >= start;
		program[i].y += program[i].y >= start;
	}
	program[start].op = op;
}

static void parse_class(void)
{
	struct instruction *i = &program[emit(CLASS)];
	int negated = *pattern == '^';
	pattern += negated;
	while (*pattern != ']') {
		char from = *pattern++, to = from;
		if (*pattern == '-') {
			to = pattern[1];
			pattern += 2;
		}
		for (char c = from; c <= to; c++)
			i->set[c / 32] |= 1u << c % 32;
	}
	pattern++;
	for (int j = 0; negated && j < 4; j++)
		i->set[j] = ~i->set[j];
}

static void parse_choice(void);

static void parse_piece(void)
{
	int start = length;
	char c = *pattern++;
	if (c == '(') {
		parse_choice();
		pattern++;
	} else if (c == '[') {
		parse_class();
	} else if (c == '.') {
		emit(ANY);
	} else {
		program[emit(CHAR)].c = c;
	}
	c = *pattern;
	if (c == '*' || c == '?') {
		pattern++;
		insert(start, SPLIT);
		program[start].x = start + 1;
		if (c == '*')
			program[emit(JUMP)].x = start;
		program[start].y = length;
	} else if (c == '+') {
		pattern++;
		int split = emit(SPLIT);
		program[split].x = start;
		program[split].y = length;
	}
}

static void parse_choice(void)
{
	int start = length;
	while (*pattern != 0 && *pattern != ')' && *pattern != '|')
		parse_piece();
	if (*pattern != '|')
		return;
	pattern++;
	insert(start, SPLIT);
	int jump = emit(JUMP);
	program[start].x = start + 1;
	program[start].y = length;
	parse_choice();
	program[jump].x = length;
}

static void compile(const char *text)
{
	length = 0;
	pattern = text;
	parse_choice();
	emit(MATCH);
}

static uint32_t steps;

// match returns the end of a match that begins at s, or NULL.
static const char *match(int pc, const char *s)
{
	for (;;) {
		const struct instruction *i = &program[pc];
		steps++;
		switch (i->op) {
		case CHAR:
			if (*s++ != i->c)
				return NULL;
			pc++;
			break;
		case ANY:
			if (*s++ == 0)
				return NULL;
			pc++;
			break;
		case CLASS:
			if (*s == 0 || (i->set[*s / 32] >> *s % 32 & 1) == 0)
				return NULL;
			s++;
			pc++;
			break;
		case SPLIT: {
			const char *end = match(i->x, s);
			if (end != NULL)
				return end;
			pc = i->y;
			break;
		}
		case JUMP:
			pc = i->x;
			break;
		case MATCH:
			return s;
		}
	}
}

static void generate(char *line, uint64_t *state)
{
	static const char *const words[] = {"bob@example.org", "GET /index/a", "2024-11-26",
		"aabbababb", "xaaybbz", "Ada Lovelace", "xyxyxyxy", "abababab", "12-34",
		"Some Words", "mail@host.de", "POST /"};
	static const char letters[] = "abcdefgh xyzABC0123-@./";
	int n = 0;
	while (n < LINE - 24) {
		if (rnd(state) % 4 == 0) {
			const char *word = words[rnd(state) % (sizeof(words) / sizeof(words[0]))];
			while (*word != 0)
				line[n++] = *word++;
		} else {
			line[n++] = letters[rnd(state) % (sizeof(letters) - 1)];
		}
	}
	line[n] = 0;
}

static uint64_t work(uint32_t rounds)
{
	uint64_t sum = 0, state = 1;
	for (uint32_t round = 0; round < rounds; round++) {
		for (int i = 0; i < LINES; i++)
			generate(lines[i], &state);
		for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
			compile(patterns[p]);
			for (int i = 0; i < LINES; i++) {
				for (const char *s = lines[i]; *s != 0; s++) {
					const char *end = match(0, s);
					if (end != NULL) {
						sum = mix(sum, (uint64_t)(s - lines[i]));
						s = end - (end > s);
						sum = mix(sum, (uint64_t)(s - lines[i]));
					}
				}
			}
		}
		sum = mix(sum, steps);
	}
	return sum;
}
