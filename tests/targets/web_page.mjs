// Opens the page of a web bundle in headless Chromium, and prints what it shows as JSON.
// node web_page.mjs CHROMIUM URL SCREENSHOT [FILE ...]
import puppeteer from "puppeteer-core";

const [executablePath, url, screenshot, ...files] = process.argv.slice(2);
const args = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"];
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
  const seen = {
    state: await page.$eval("body", (body) => body.dataset.state),
    latency: await page.$eval("body", (body) => Number(body.dataset.latency)),
    isolated: await page.evaluate(() => crossOriginIsolated),
    runtime: await shown("runtime"),
    selftest: await shown("selftest"),
    shownLatency: await shown("latency"),
    answers: [],
    errors,
  };
  const input = await page.$("#file");
  for (const file of files) seen.answers.push(await changed(() => input.uploadFile(file)));
  await page.screenshot({ path: screenshot, fullPage: true });
  if (await page.$("#camera:not([hidden])")) {
    await page.click("#camera");
    await page.waitForSelector("#shoot:not([hidden])", { timeout: 60000 });
    seen.camera = await changed(() => page.click("#shoot"));
  }
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
