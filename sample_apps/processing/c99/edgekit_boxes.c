/* A detector's outputs as boxes: layouts, anchors, and non-maximum suppression. */
#include <math.h>

#include "edgekit_processing.h"

static float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

/* The corners of row r as shares of the picture. */
static ek_box corners(const ek_box_spec *spec, const float *boxes, int r) {
  float v[4];
  ek_box box = {0.0f, 0, 0.0f, 0.0f, 0.0f, 0.0f};
  for (int c = 0; c < 4; c++) v[c] = boxes[r * spec->box_row + c * spec->box_column];
  if (spec->anchors) { /* offsets from an anchor: y, x, height, width */
    const float *anchor = spec->anchors[r];
    float y = v[0] / spec->scales[0] * anchor[2] + anchor[0];
    float x = v[1] / spec->scales[1] * anchor[3] + anchor[1];
    float tall = expf(v[2] / spec->scales[2]) * anchor[2];
    float wide = expf(v[3] / spec->scales[3]) * anchor[3];
    box.left = x - wide / 2, box.top = y - tall / 2;
    box.right = x + wide / 2, box.bottom = y + tall / 2;
    return box;
  }
  switch (spec->layout) {
    case EK_YXYX: box.left = v[1], box.top = v[0], box.right = v[3], box.bottom = v[2]; break;
    case EK_XYWH:
      box.left = v[0], box.top = v[1], box.right = v[0] + v[2], box.bottom = v[1] + v[3];
      break;
    case EK_CXCYWH:
      box.left = v[0] - v[2] / 2, box.top = v[1] - v[3] / 2;
      box.right = v[0] + v[2] / 2, box.bottom = v[1] + v[3] / 2;
      break;
    default: box.left = v[0], box.top = v[1], box.right = v[2], box.bottom = v[3]; break;
  }
  box.left /= spec->width, box.right /= spec->width;
  box.top /= spec->height, box.bottom /= spec->height;
  return box;
}

static float area(float left, float top, float right, float bottom) {
  float wide = right - left, tall = bottom - top;
  return (wide > 0.0f ? wide : 0.0f) * (tall > 0.0f ? tall : 0.0f);
}

/* Intersection over union. */
static float overlap(const ek_box *a, const ek_box *b) {
  float shared = area(a->left > b->left ? a->left : b->left, a->top > b->top ? a->top : b->top,
                      a->right < b->right ? a->right : b->right,
                      a->bottom < b->bottom ? a->bottom : b->bottom);
  float both = area(a->left, a->top, a->right, a->bottom) +
               area(b->left, b->top, b->right, b->bottom) - shared;
  return both > 0.0f ? shared / both : 0.0f;
}

/* Keep the best candidates sorted, best first; of equal ones the first that came. */
static int insert(ek_box *found, int count, int capacity, const ek_box *box) {
  if (count == capacity && !(box->score > found[count - 1].score)) return count;
  int at = count < capacity ? count : capacity - 1;
  for (; at > 0 && box->score > found[at - 1].score; at--) found[at] = found[at - 1];
  found[at] = *box;
  return count < capacity ? count + 1 : count;
}

static int suppressed(const ek_box_spec *spec, ek_box *found, int count) {
  int kept = 0;
  for (int at = 0; at < count && kept < spec->largest; at++) {
    int covered = 0;
    for (int k = 0; k < kept && !covered && spec->suppress; k++) {
      covered = found[k].category == found[at].category && overlap(&found[k], &found[at]) > spec->iou;
    }
    if (!covered) found[kept++] = found[at];
  }
  return kept;
}

int ek_read_boxes(const ek_box_spec *spec, const float *boxes, const float *scores,
                  const float *classes, const float *count, ek_box *found) {
  int rows = spec->rows, held = 0;
  if (count && rintf(count[0]) < (float)rows) rows = (int)rintf(count[0]);
  for (int r = 0; r < rows; r++) {
    for (int k = spec->background; k < spec->classes; k++) {
      float score = scores[spec->score_start + r * spec->score_row + k * spec->score_column];
      if (spec->objectness >= 0) score *= boxes[spec->objectness + r * spec->box_row];
      if (spec->sigmoid) score = logistic(score);
      if (!(score >= spec->score)) continue;
      ek_box box = corners(spec, boxes, r);
      box.score = score;
      box.category = classes ? (int)rintf(classes[r]) : k - spec->background;
      held = insert(found, held, spec->candidates, &box);
    }
  }
  return suppressed(spec, found, held);
}
