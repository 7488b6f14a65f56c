package edgekit

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

/** ./gradlew :model:connectedAndroidTest runs it on the device that is connected. */
@RunWith(AndroidJUnit4::class)
class SelfTestOnDevice {
    @Test
    fun modelGivesItsGoldenOutputs() {
        val context = InstrumentationRegistry.getInstrumentation().targetContext
        InterpreterNetwork.open(context).use { network ->
            val report = selfTest(context, network)
            assertTrue(report.toString(), report.passed)
        }
    }
}
