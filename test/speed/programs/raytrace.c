// SPDX-License-Identifier: Apache-2.0
// Ray tracing: a scene of spheres over a floor, with shadows and reflections, in 80 by
// 60 pixels per round, from another place in each.
#include "speed.h"

enum { WIDTH = 80, HEIGHT = 60, SPHERES = 12, DEPTH = 4 };

struct vector {
	double x, y, z;
};

struct sphere {
	struct vector center, color;
	double radius, mirror;
};

static struct sphere spheres[SPHERES];
static const struct vector light = {-5, 9, -6};

static struct vector add(struct vector a, struct vector b)
{
	return (struct vector){a.x + b.x, a.y + b.y, a.z + b.z};
}

static struct vector scale(struct vector a, double f)
{
	return (struct vector){a.x * f, a.y * f, a.z * f};
}

static struct vector sub(struct vector a, struct vector b)
{
	return (struct vector){a.x - b.x, a.y - b.y, a.z - b.z};
}

static double dot(struct vector a, struct vector b)
{
	return a.x * b.x + a.y * b.y + a.z * b.z;
}

static struct vector unit(struct vector a)
{
	return scale(a, 1 / __builtin_sqrt(dot(a, a)));
}

// hit is the distance at which a ray meets a sphere, or 0.
static double hit(const struct sphere *s, struct vector from, struct vector way)
{
	struct vector to = sub(s->center, from);
	double b = dot(to, way), d = b * b - dot(to, to) + s->radius * s->radius;
	if (d < 0)
		return 0;
	d = __builtin_sqrt(d);
	if (b - d > 1e-6)
		return b - d;
	return b + d > 1e-6 ? b + d : 0;
}

// nearest is the sphere that a ray meets first, within a distance, which it shortens.
static const struct sphere *nearest(struct vector from, struct vector way, double *distance)
{
	const struct sphere *found = NULL;
	for (int i = 0; i < SPHERES; i++) {
		double d = hit(&spheres[i], from, way);
		if (d > 0 && d < *distance) {
			*distance = d;
			found = &spheres[i];
		}
	}
	return found;
}

static struct vector trace(struct vector from, struct vector way, int depth)
{
	double distance = 1e9, mirror = 0.2;
	const struct sphere *s = nearest(from, way, &distance);
	struct vector at, normal, color;
	if (s != NULL) {
		at = add(from, scale(way, distance));
		normal = scale(sub(at, s->center), 1 / s->radius);
		color = s->color;
		mirror = s->mirror;
	} else if (way.y < -1e-6) {
		at = add(from, scale(way, -from.y / way.y));
		normal = (struct vector){0, 1, 0};
		int odd = ((int64_t)(at.x + 1e4) + (int64_t)(at.z + 1e4)) & 1;
		color = odd ? (struct vector){0.9, 0.9, 0.9} : (struct vector){0.2, 0.2, 0.2};
	} else {
		return (struct vector){0.3 + 0.4 * way.y, 0.5 + 0.3 * way.y, 0.9};
	}
	struct vector to = sub(light, at);
	double far = __builtin_sqrt(dot(to, to)), bright = 0.1;
	to = scale(to, 1 / far);
	if (dot(to, normal) > 0 && nearest(at, to, &far) == NULL)
		bright += 0.9 * dot(to, normal);
	color = scale(color, bright);
	if (depth == 0 || mirror == 0)
		return color;
	struct vector back = sub(way, scale(normal, 2 * dot(way, normal)));
	return add(scale(color, 1 - mirror), scale(trace(at, back, depth - 1), mirror));
}

static uint64_t work(uint32_t rounds)
{
	uint64_t sum = 0, state = 1;
	for (int i = 0; i < SPHERES; i++) {
		double v[7];
		for (int j = 0; j < 7; j++)
			v[j] = rnd(&state) / 4294967296.0;
		spheres[i].radius = 0.4 + v[0];
		spheres[i].center = (struct vector){v[1] * 8 - 4, spheres[i].radius, 2 + v[2] * 8};
		spheres[i].color = (struct vector){v[3], v[4], v[5]};
		spheres[i].mirror = v[6] * 0.8;
	}
	for (uint32_t round = 0; round < rounds; round++) {
		struct vector eye = {(round % 16) / 8.0 - 1, 2, -4}, pixels = {0, 0, 0};
		for (int y = 0; y < HEIGHT; y++) {
			for (int x = 0; x < WIDTH; x++) {
				struct vector way = {
					(x - WIDTH / 2.0) / WIDTH, (HEIGHT / 2.0 - y) / WIDTH, 1};
				pixels = add(pixels, trace(eye, unit(way), DEPTH));
			}
		}
		sum = mix(sum, (uint64_t)(pixels.x * 1e6));
		sum = mix(sum, (uint64_t)(pixels.y * 1e6));
		sum = mix(sum, (uint64_t)(pixels.z * 1e6));
	}
	return sum;
}
