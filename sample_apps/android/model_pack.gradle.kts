// Play's delivery of the model: install-time, and "other" is the group of every device that no
// other group of device_targeting_configuration.xml takes. It has to be there.
plugins { id("com.android.ai-pack") version "8.7.3" }

aiPack {
    packName = "model_pack"
    dynamicDelivery { deliveryType = "install-time" }
}
