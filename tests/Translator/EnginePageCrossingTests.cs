using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>An instruction that lies across two pages, of which either may be rewritten, go, or be another one.</summary>
public sealed unsafe class EnginePageCrossingTests
{
    private const uint Code = 0x10000;
    private const uint Function = 0x14FFD; // add eax, imm32 has five bytes: three of them are in the first page.
    private const uint SecondPage = 0x15000;
    private const uint OtherPage = 0x18000;
    private const int Calls = 300;

    public static TheoryData<string> Engines => [.. EngineUnderTest.Names, "interpreter"];

    [Theory]
    [InlineData("interpreter")]
    [InlineData("tiered-interpreting")]
    public void ItIsDecodedOnce(string engineName)
    {
        using TestPlatform platform = Platform();
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        Assert.Equal(Sum(0x0101_0101), Run(platform, engine));
        long before = engine.Statistics.BlocksDecoded;
        Assert.InRange(before, 1, 20);
        Assert.Equal(Sum(0x0101_0101), Run(platform, engine));
        Assert.Equal(before, engine.Statistics.BlocksDecoded);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AWriteIntoEitherPageIsSeen(string engineName)
    {
        using TestPlatform platform = Platform();
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        uint value = 0x0101_0101;
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal(Sum(value), Run(platform, engine));
            platform.Write(Function + 2, (byte)(2 + i));
            value = (value & 0xFFFF_00FF) | ((2u + (uint)i) << 8);
            Assert.Equal(Sum(value), Run(platform, engine));
            platform.Write(Function + 4, (byte)(7 + i));
            value = (value & 0x00FF_FFFF) | ((7u + (uint)i) << 24);
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnotherSecondPageIsSeen(string engineName)
    {
        using TestPlatform platform = Platform();
        platform.Write(OtherPage, 0x02, 0x02, 0xC3);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        for (int i = 0; i < 4; i++)
        {
            bool other = (i & 1) != 0;
            platform.Map(SecondPage, other ? OtherPage : SecondPage);
            Assert.Equal(Sum(other ? 0x0202_0101u : 0x0101_0101u), Run(platform, engine));
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AMissingSecondPageIsAFaultAtTheInstruction(string engineName)
    {
        using TestPlatform platform = Platform();
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        Assert.Equal(Sum(0x0101_0101), Run(platform, engine));
        platform.Protect(SecondPage, PageRights.None);
        int faults = 0;
        platform.OnFault = fault =>
        {
            faults++;
            Assert.Equal(SecondPage, fault.Address);
            Assert.Equal(Function, platform.Cpu->Eip);
            platform.Protect(SecondPage, PageRights.All);
            return true;
        };
        Assert.Equal(Sum(0x0101_0101), Run(platform, engine));
        Assert.Equal(1, faults);
    }

    private static uint Sum(uint value) => unchecked(Calls * value);

    private static TestPlatform Platform()
    {
        var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, Calls);
            a.xor(eax, eax);
            a.Label(ref again);
            a.call(Function);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        platform.Write(Function, 0x05, 0x01, 0x01, 0x01, 0x01, 0xC3); // add eax, 01010101h; ret
        return platform;
    }

    private static uint Run(TestPlatform platform, Engine engine)
    {
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        return platform.Cpu->Gpr[(int)Gpr.Eax];
    }
}
