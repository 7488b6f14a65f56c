Pod::Spec.new do |s|
  s.name = '@MODULE@'
  s.version = '@VERSION@'
  s.summary = 'A TensorFlow Lite model with its pre- and postprocessing and a self-test'
  s.homepage = 'https://example.com'
  s.license = { :type => '@LICENCE@', :text => 'see manifest.json' }
  s.author = '@AUTHOR@'
  s.source = { :path => '.' }
  s.ios.deployment_target = '14.0'
  s.swift_version = '5.7'
  s.static_framework = true
  s.source_files = 'Sources/**/*.swift', 'Interpreter/*.swift'
  s.resource_bundles = { '@MODULE@' => ['Resources/model.tflite', 'golden/*.npy'] }
  # The first release that has every operator of the model, in the versions that it uses.
  s.dependency 'TensorFlowLiteSwift', '@RELEASE@'
  s.test_spec 'SelfTest' do |test|
    test.source_files = 'Tests/*.swift'
  end
end
