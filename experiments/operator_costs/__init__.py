"""What does each channel-mixing operator cost at the shapes of ResNet-50 and MobileNetV2?"""
