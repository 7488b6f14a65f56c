// Opens the page of a web bundle in headless Chromium, and prints what it shows as JSON.
// node web_page.mjs CHROMIUM URL SCREENSHOT [FILE ...]: a file for the page's own control, or
// NAME=FILE for that of an input, or NAME:TEXT for its numbers.
import puppeteer from "puppeteer-core";

const [executablePath, url, screenshot, ...acts] = process.argv.slice(2);
const args = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"];
const SHOTS = { "": [1280, "light"], ".dark": [1280, "dark"], ".narrow": [390, "light"], ".narrow-dark": [390, "dark"] };
const browser = await puppeteer.launch({ executablePath, args, headless: true });
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  await page.waitForSelector("body[data-state]", { timeout: 60000 });
  const shown = (id) => page.$eval(`#${id}`, (element) => element.textContent);
  const changed = async (act) => {
    await page.$eval("#answers", (element) => (element.textContent = ""));
    await act();
    await page.waitForFunction(() => document.querySelector("#answers").textContent, { timeout: 60000 });
    return shown("answers");
  };
  const done = async (act) => {
    const [, name, how, value] = /^(\w+)([=:])(.*)$/.exec(act) ?? [null, "", "=", act];
    if (how === "=") return (await page.$(name ? `[aria-label="file for ${name}"]` : "#file")).uploadFile(value);
    await page.$eval(`[aria-label="numbers for ${name}"]`, (field, text) => {
      field.value = text;
      field.dispatchEvent(new Event("change"));
    }, value);
  };
  const seen = {
    state: await page.$eval("body", (body) => body.dataset.state),
    latency: await page.$eval("body", (body) => Number(body.dataset.latency)),
    isolated: await page.evaluate(() => crossOriginIsolated),
    runtime: await shown("runtime"),
    selftest: await shown("selftest"),
    shownLatency: await shown("latency"),
    answers: [],
    wide: [],
    errors,
  };
  for (const act of acts) seen.answers.push(await changed(() => done(act)));
  for (const [name, [width, value]] of Object.entries(SHOTS)) {
    await page.setViewport({ width, height: 800 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
    await page.screenshot({ path: screenshot.replace(".png", `${name}.png`), fullPage: true });
    seen.wide.push(await page.evaluate(() => document.documentElement.scrollWidth));
  }
  if (await page.$("#camera:not([hidden])")) {
    await page.click("#camera");
    await page.waitForSelector("#shoot:not([hidden])", { timeout: 60000 });
    seen.camera = await changed(() => page.click("#shoot"));
  }
  if (acts.length > 0 && (await page.$("#monitoring:not([hidden])"))) {
    await page.evaluate(() => {
      const make = URL.createObjectURL;
      URL.createObjectURL = (blob) => {
        void blob.text().then((text) => (globalThis.recordedText = text));
        return make(blob);
      };
    });
    const downloaded = async (button) => {
      await page.evaluate(() => delete globalThis.recordedText);
      await page.click(button);
      await page.waitForFunction(() => globalThis.recordedText !== undefined, { timeout: 60000 });
      return page.evaluate(() => globalThis.recordedText);
    };
    await page.click("#record");
    await page.click("#raw");
    await changed(() => done(acts[0]));
    seen.recorded = await downloaded("#download");
    seen.kept = await downloaded("#items");
    // As a user does: the file that was chosen last, by the page's own control.
    const again = async () => {
      const [chooser] = await Promise.all([page.waitForFileChooser(), page.click("#file")]);
      await chooser.accept([acts[0]]);
    };
    if (!/^\w+[=:]/.test(acts[0])) seen.again = await changed(again);
  }
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
