using Dbt.Devices.Block;

namespace Dbt.Tests.Devices;

/// <summary>Names and numbers of virtual disks.</summary>
public sealed class VirtualDeviceTests
{
    [Theory]
    [InlineData("xvda", 51712)]
    [InlineData("xvda1", 51713)]
    [InlineData("xvdb", 51728)]
    [InlineData("xvdp15", 51967)]
    [InlineData("xvdq", 268439552)]
    [InlineData("xvda16", 268435472)]
    [InlineData("xvdaa", 268442112)]
    [InlineData("xvdz", 268441856)]
    [InlineData("hda", 768)]
    [InlineData("hdb", 832)]
    [InlineData("hdc", 5632)]
    [InlineData("hdd3", 5699)]
    [InlineData("sda", 2048)]
    [InlineData("sda1", 2049)]
    [InlineData("sdp15", 2303)]
    [InlineData("d0", 51712)]
    [InlineData("d1p2", 51730)]
    [InlineData("768", 768)]
    [InlineData("0xca00", 51712)]
    public void HaveNumbers(string name, uint number) => Assert.Equal(new VirtualDevice(name, number), VirtualDevice.Parse(name));

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    [InlineData("xvd")]
    [InlineData("xvdA")]
    [InlineData("xvda0")]
    [InlineData("xvda256")]
    [InlineData("xvda-1")]
    [InlineData("xvda1x")]
    [InlineData("xvdaaaaa")]
    [InlineData("hde")]
    [InlineData("hda64")]
    [InlineData("sdq")]
    [InlineData("sda16")]
    [InlineData("vda")]
    [InlineData("dp1")]
    [InlineData("d1p")]
    [InlineData("0x")]
    [InlineData("99999999999")]
    [InlineData("7 68")]
    public void OrAreRefused(string? name) => Assert.False(VirtualDevice.TryParse(name, out _));
}
