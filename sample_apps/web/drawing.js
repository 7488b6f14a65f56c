/** Boxes over the picture that they are of. */
import { label } from "./model.js";
// A picture that is smaller is drawn so large: its boxes have names to be read.
const LEAST = 320;
/** Draw boxes over the picture of a canvas, whose sides they are shares of. */
export function draw(canvas, boxes) {
    enlarge(canvas);
    const context = canvas.getContext("2d");
    const size = Math.max(14, Math.round(canvas.width / 40));
    context.lineWidth = Math.max(2, size / 7);
    context.font = `bold ${size}px system-ui, sans-serif`;
    context.textBaseline = "top";
    // The best last: it is over the others.
    for (const box of [...boxes].reverse()) {
        const [left, top] = [box.left * canvas.width, box.top * canvas.height];
        const [right, bottom] = [box.right * canvas.width, box.bottom * canvas.height];
        const color = `hsl(${(box.category * 137 + 210) % 360} 90% 27%)`;
        context.strokeStyle = color;
        context.strokeRect(left, top, right - left, bottom - top);
        const text = `${label(box.category)} ${box.score.toFixed(2)}`;
        const wide = context.measureText(text).width + size / 2;
        const x = Math.max(0, Math.min(left, canvas.width - wide));
        const above = top - size * 1.3;
        const y = above >= 0 ? above : Math.max(0, top);
        context.fillStyle = color;
        context.fillRect(x, y, wide, size * 1.3);
        context.fillStyle = "white";
        context.fillText(text, x + size / 4, y + size * 0.15);
    }
}
function enlarge(canvas) {
    const times = Math.ceil(LEAST / canvas.width);
    if (times <= 1)
        return;
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    copy.getContext("2d").drawImage(canvas, 0, 0);
    [canvas.width, canvas.height] = [times * copy.width, times * copy.height];
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(copy, 0, 0, canvas.width, canvas.height);
}
