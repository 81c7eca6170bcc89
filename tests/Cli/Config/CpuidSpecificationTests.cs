using Dbt.Cli.Config;
using Dbt.Xen.Processor;

namespace Dbt.Tests.Cli.Config;

/// <summary>The key cpuid= in both of xl's ways to write it.</summary>
public sealed class CpuidSpecificationTests
{
    private readonly List<string> _warnings = [];

    private IReadOnlyList<CpuidChange> Parse(string text) =>
        CpuidSpecification.Parse(ConfigFile.Parse("a.cfg", $"cpuid={text}")["cpuid"]!, _warnings.Add);

    private string Error(string text) => Assert.Throws<ConfigException>(() => Parse(text)).Message;

    [Fact]
    public void NamesBecomeBits()
    {
        Assert.Equal(
            [
                new CpuidChange(1, null, CpuidRegister.Edx, 0, 1 << 29),
                new CpuidChange(1, null, CpuidRegister.Ecx, 0, 1),
                new CpuidChange(7, 0, CpuidRegister.Ebx, 0, 1 << 8),
            ],
            Parse("\"host,tm=0,sse3=0, bmi2=0,aes=x,popcnt=k,sse2=s\""));
        Assert.Empty(Parse("'host'"));
        Assert.Empty(_warnings);
    }

    [Theory]
    [InlineData("family=6", 0x600u, 0x0FF00900u)]
    [InlineData("family=0x17", 0x800F00u, 0x0F700000u)]
    [InlineData("model=0x31", 0x30010u, 0x000C00E0u)]
    [InlineData("stepping=5", 5u, 10u)]
    public void FamilyAndModelAreTakenApart(string item, uint set, uint clear) =>
        Assert.Equal([new CpuidChange(1, null, CpuidRegister.Eax, set, clear)], Parse($"\"host:{item}\""));

    [Fact]
    public void RegistersAreGivenBitByBit()
    {
        Assert.Equal(
            [
                new CpuidChange(1, null, CpuidRegister.Ecx, 0, 0x80000001),
                new CpuidChange(1, null, CpuidRegister.Eax, 0x2, 0x1),
                new CpuidChange(7, 0, CpuidRegister.Ebx, 0, 0x100),
            ],
            Parse($"[ '1:ecx=0{new string('x', 30)}0,eax={new string('k', 30)}10', '0x7,0:ebx={new string('s', 23)}0{new string('x', 8)}' ]"));
        Assert.Empty(_warnings);
    }

    [Fact]
    public void WhatIsNotThereIsWarnedOf()
    {
        Parse("'host,vmx=1'");
        Assert.StartsWith("a.cfg:1:13: cpuid: vmx=1 asks for what this processor does not have", Assert.Single(_warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("'sse3=0'", "a.cfg:1:8: cpuid: the string must begin with host")]
    [InlineData("'host,sse9=0'", "a.cfg:1:13: cpuid: there is no feature named 'sse9'")]
    [InlineData("'host,sse3'", "a.cfg:1:13: cpuid: 'sse3' is not NAME=VALUE")]
    [InlineData("'host, sse3=2'", "a.cfg:1:14: cpuid: sse3=2 is not a number up to 1")]
    [InlineData("'host,family=300'", "a.cfg:1:13: cpuid: family=300 is not a number up to 270")]
    [InlineData("[ '1:ecx=01' ]", "a.cfg:1:16: cpuid: a register has 32 bits, not 2")]
    [InlineData("[ '1:ezx=01' ]", "a.cfg:1:12: cpuid: 'ezx=01' does not begin with eax=")]
    [InlineData("[ 'one:ecx=01' ]", "a.cfg:1:10: cpuid: \"one:ecx=01\" does not begin with LEAF:")]
    [InlineData("[ '1:ecx=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx?' ]", "a.cfg:1:47: cpuid: '?' is none of 0, 1, x, k, s")]
    [InlineData("[ '0x40000000:eax=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' ]", "a.cfg:1:10: cpuid: leaf 0x40000000 is the hypervisor's own")]
    [InlineData("[ 7 ]", "a.cfg:1:9: cpuid: each element must be a string")]
    [InlineData("7", "a.cfg:1:7: cpuid must be a string")]
    public void Mistakes(string text, string message) => Assert.StartsWith(message, Error(text), StringComparison.Ordinal);
}
