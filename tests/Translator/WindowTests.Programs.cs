using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <content>What is run, and what is compared.</content>
public sealed unsafe partial class WindowTests
{
    /// <summary>A loop over all pages with accesses of all sizes.</summary>
    private static (TestPlatform Platform, EngineStatistics Statistics) RunAll(string engineName, int rounds, bool shared = true)
    {
        var platform = new TestPlatform(shared: shared);
        platform.Assemble(Code, a =>
        {
            Label round = a.CreateLabel(), again = a.CreateLabel();
            a.mov(edx, rounds);
            a.xor(ebx, ebx);
            a.Label(ref round);
            a.mov(esi, Data);
            a.mov(ecx, Pages);
            a.Label(ref again);
            a.mov(al, __byte_ptr[esi]);
            a.add(al, 3);
            a.mov(__byte_ptr[esi + 1], al);
            a.mov(ax, __word_ptr[esi + 2]);
            a.sub(ax, bx);
            a.mov(__word_ptr[esi + 4], ax);
            a.mov(eax, __dword_ptr[esi + 8]);
            a.add(ebx, eax);
            a.mov(__dword_ptr[esi + 12], ebx);
            a.add(__dword_ptr[esi + 16], 5);
            a.adc(__dword_ptr[esi + 8], ebx);
            a.inc(__byte_ptr[esi]);
            a.not(__word_ptr[esi + 2]);
            a.rol(__dword_ptr[esi + 20], 3);
            a.movsx(eax, __byte_ptr[esi + 21]);
            a.xadd(__dword_ptr[esi + 24], eax);
            a.xchg(__dword_ptr[esi + 28], eax);
            a.bts(__dword_ptr[esi + 28], 7);
            a.setc(__byte_ptr[esi + 29]);
            a.imul(eax, __dword_ptr[esi + 24]);
            a.add(ebx, eax);
            a.lea(esp, __[esi + 0x100]);
            a.push(ebx);
            a.push(__dword_ptr[esi + 16]);
            a.pop(__dword_ptr[esi + 32]);
            a.pop(edi);
            a.add(ebx, edi);
            a.mov(__dword_ptr[esi + (ecx * 4) + 0x200], ebx);
            a.movq(xmm0, __qword_ptr[esi + 40]);
            a.paddd(xmm0, xmm1);
            a.movq(__qword_ptr[esi + 48], xmm0);
            a.movaps(xmm1, __xmmword_ptr[esi + 64]);
            a.paddd(xmm1, xmm0);
            a.movups(__xmmword_ptr[esi + 81], xmm1);
            a.movd(__dword_ptr[esi + 64], xmm1);
            a.pxor(xmm1, __xmmword_ptr[esi + 64]);
            a.movaps(__xmmword_ptr[esi + 112], xmm1);
            a.add(esi, 0x1000);
            a.dec(ecx);
            a.jnz(again);
            a.dec(edx);
            a.jnz(round);
            a.@int(0x80);
        });
        new Random(2).NextBytes(new Span<byte>(platform.Memory + Data, (int)DataBytes));
        SetXmm(platform, 0, 0);
        SetXmm(platform, 1, 7);
        using Engine engine = Create(engineName, platform);
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        Assert.Empty(platform.Faults);
        return (platform, engine.Statistics);
    }

    private static Engine Create(string name, TestPlatform platform) => name == "checked"
        ? EngineFactory.Create(EngineUnderTest.Options("optimized") with { Windows = WindowUse.Never }, platform, platform.Cpu)
        : EngineUnderTest.Create(name, platform);

    private static void AssertSame(TestPlatform expected, TestPlatform platform)
    {
        Assert.True(new ReadOnlySpan<byte>(expected.Memory + Data, (int)DataBytes).SequenceEqual(new ReadOnlySpan<byte>(platform.Memory + Data, (int)DataBytes)));
        for (int i = 0; i < 8; i++)
        {
            Assert.Equal(expected.Cpu->Gpr[i], platform.Cpu->Gpr[i]);
        }

        Assert.Equal(LazyFlags.Read(expected.Cpu) & Flags.Status, LazyFlags.Read(platform.Cpu) & Flags.Status);
        Assert.Equal(Retired(expected), Retired(platform));
    }

    // Where FXSAVE has them.
    private static void SetXmm(TestPlatform platform, int register, uint value)
    {
        for (int i = 0; i < 4; i++)
        {
            ((uint*)((byte*)&platform.Cpu->Fx + 160 + (register * 16)))[i] = value;
        }
    }

    /// <summary>Addresses of instructions that follow one another.</summary>
    private static uint[] Eips(TestPlatform platform, uint from, int count)
    {
        var decoder = Decoder.Create(32, new ReadOnlySpan<byte>(platform.Memory + from, 0x400).ToArray(), from);
        uint[] all = new uint[count];
        for (int i = 0; i < count; i++)
        {
            all[i] = (uint)decoder.Decode().IP;
        }

        return all;
    }

    private static uint Sum(uint n) => unchecked((uint)((ulong)n * (n + 1ul) / 2));

    private static uint Addition(uint a, uint b)
    {
        uint sum = unchecked(a + b);
        return Result(sum) | (sum < a ? Flags.Cf : 0) | ((a ^ b ^ sum) & Flags.Af) | (((a ^ sum) & (b ^ sum)) >> 31 != 0 ? Flags.Of : 0);
    }

    private static uint Subtraction(uint a, uint b)
    {
        uint difference = unchecked(a - b);
        return Result(difference) | (a < b ? Flags.Cf : 0) | ((a ^ b ^ difference) & Flags.Af) | (((a ^ b) & (a ^ difference)) >> 31 != 0 ? Flags.Of : 0);
    }

    private static uint Result(uint value) =>
        (value == 0 ? Flags.Zf : 0) | ((int)value < 0 ? Flags.Sf : 0) | ((uint.PopCount(value & 0xFF) & 1) == 0 ? Flags.Pf : 0);

    private static string Hex(uint[] values) => string.Join(' ', values.Select(static value => $"{value:x}"));

    private static ulong Retired(TestPlatform platform) => platform.Cpu->RetiredInterpreted + platform.Cpu->RetiredQuick + platform.Cpu->RetiredOptimized;
}
