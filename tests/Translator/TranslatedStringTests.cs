using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>Repeated string instructions in translated code: what the interpreter gives, without leaving where the pages are known.</summary>
public sealed unsafe class TranslatedStringTests
{
    private const uint Code = 0x10000, Data = 0x100000, Bytes = 0x8000;

    private static readonly Dictionary<string, Action<Assembler>> Instructions = new()
    {
        ["rep movsb"] = a => a.rep.movsb(),
        ["rep movsw"] = a => a.rep.movsw(),
        ["rep movsd"] = a => a.rep.movsd(),
        ["repne movsb"] = a => a.repne.movsb(),
        ["rep stosb"] = a => a.rep.stosb(),
        ["rep stosw"] = a => a.rep.stosw(),
        ["rep stosd"] = a => a.rep.stosd(),
        ["repe cmpsb"] = a => a.repe.cmpsb(),
        ["repne cmpsw"] = a => a.repne.cmpsw(),
        ["repe cmpsd"] = a => a.repe.cmpsd(),
        ["repne scasb"] = a => a.repne.scasb(),
        ["repe scasw"] = a => a.repe.scasw(),
        ["repne scasd"] = a => a.repne.scasd(),
    };

    public static TheoryData<string, string> Cases
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string engine in (string[])["quick", "optimized", "tiered-direct"])
            {
                foreach (string instruction in Instructions.Keys)
                {
                    data.Add(engine, instruction);
                }
            }

            return data;
        }
    }

    /// <summary>
    /// Counts from 0 to several pages, elements across pages, overlaps, pages of two addresses, both directions, absent and read-only pages:
    /// registers, flags, memory and faults.
    /// </summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void EndsInTheInterpretersState(string engine, string instruction)
    {
        for (int seed = 0; seed < 12; seed++)
        {
            string expected = RunRandom("interpreter", instruction, seed), actual = RunRandom(engine, instruction, seed);
            Assert.True(expected == actual, $"seed {seed}\nexpected {expected}\nactual   {actual}");
        }
    }

    /// <summary>INT 0x80 at the end is all that is interpreted, though the strings lie on three pages.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void AWarmLoopHasNoSideExits(string engineName, string instruction)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ebp, 10);
            a.Label(ref again);
            a.mov(esi, (int)Data + 0xFFD);
            a.mov(edi, (int)Data + 0x4FFE);
            a.mov(ecx, 1100);
            Instructions[instruction](a);
            a.dec(ebp);
            a.jnz(again);
            a.@int(0x80);
        });
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        for (int run = 0; run < 30; run++)
        {
            Run(engine, platform);
        }

        long exits = engine.Statistics.SideExits.Values.Sum();
        ulong interpreted = platform.Cpu->RetiredInterpreted;
        Run(engine, platform);
        Assert.InRange(engine.Statistics.SideExits.Values.Sum(), exits, exits + 1);
        Assert.Equal(interpreted + 1, platform.Cpu->RetiredInterpreted);
        Assert.DoesNotContain(engine.Statistics.SideExits.Keys, name => name == "untranslated:" + instruction.Split(' ')[1]);
    }

    [Theory]
    [InlineData("quick")]
    [InlineData("optimized")]
    public void ACopyOverTranslatedCodeIsSeen(string engineName)
    {
        const uint Function = Code + 0x2000, Templates = Data;
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.xor(ebx, ebx);
            a.mov(ebp, 20);
            a.mov(esi, (int)Templates);
            a.Label(ref again);
            a.mov(edi, (int)Function);
            a.mov(ecx, 6);
            a.rep.movsb();
            a.call(Function);
            a.add(ebx, eax);
            a.dec(ebp);
            a.jnz(again);
            a.@int(0x80);
        });
        for (uint i = 0; i < 20; i++)
        {
            platform.Assemble(Templates + (i * 6), a =>
            {
                a.mov(eax, 1 << (int)i);
                a.ret();
            });
        }

        using Engine engine = EngineUnderTest.Create(engineName, platform);
        Run(engine, platform);
        Assert.Equal(0xFFFFFu, platform.Cpu->Gpr[(int)Gpr.Ebx]);
    }

    /// <summary>A count that takes long is left when Attention is raised, with registers that say how far it got.</summary>
    [Theory]
    [InlineData("quick")]
    [InlineData("optimized")]
    public void AttentionEndsALongRun(string engineName)
    {
        using var platform = new TestPlatform(megabytes: 16);
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.mov(edi, (int)Data);
            a.mov(ecx, 8 << 20);
            a.rep.stosb();
            a.jmp(again);
        });
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        using var stopper = new Timer(_ => platform.Stop(), null, 100, Timeout.Infinite);
        Run(engine, platform);
        Assert.InRange(platform.Cpu->Eip, Code, Code + 14);
        if (platform.Cpu->Eip == Code + 10)
        {
            Assert.Equal(Data + (8 << 20), platform.Cpu->Gpr[(int)Gpr.Edi] + platform.Cpu->Gpr[(int)Gpr.Ecx]);
        }
    }

    /// <summary>Code that needs MXCSR live goes on to code that copies, and back: no flag is lost, and none comes from the host.</summary>
    [X64Theory]
    [InlineData("quick")]
    [InlineData("optimized")]
    [InlineData("tiered-direct")]
    public void FloatingPointAroundACopyKeepsItsFlags(string engineName)
    {
        Assert.Equal(FloatAndCopy("interpreter"), FloatAndCopy(engineName));
    }

    private static string FloatAndCopy(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ebp, 40);
            a.Label(ref again);
            a.addss(xmm0, __dword_ptr[Data]);
            a.divss(xmm1, xmm0);
            a.fld1();
            a.fadd(__dword_ptr[Data]);
            a.fstp(__dword_ptr[Data + 0x100]);
            a.call(Code + 0x3000);
            a.mulss(xmm1, xmm0);
            a.dec(ebp);
            a.jnz(again);
            a.stmxcsr(__dword_ptr[Data + 0x200]);
            a.@int(0x80);
        });
        platform.Assemble(Code + 0x3000, a =>
        {
            a.mov(esi, (int)Data);
            a.mov(edi, (int)Data + 0x1000);
            a.mov(ecx, 0x210);
            a.rep.movsb();
            a.ret();
        });
        platform.Write32(Data, BitConverter.SingleToUInt32Bits(1.1f));
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        var all = new System.Text.StringBuilder();
        for (int run = 0; run < 8; run++)
        {
            byte* area = (byte*)&platform.Cpu->Fx;
            *(ushort*)area = (ushort)(run % 2 == 0 ? 0x37F : 0xF7F);
            *(uint*)(area + 24) = run % 2 == 0 ? 0x1F80u : 0x7F80u;
            Run(engine, platform);
            all.Append(Convert.ToHexString(new ReadOnlySpan<byte>(&platform.Cpu->Fx, 288))).Append(Sum(platform)).Append('\n');
        }

        return all.ToString();
    }

    private static string RunRandom(string engineName, string instruction, int seed)
    {
        var random = new Random(seed);
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            // Flags from before must be there where the count is 0.
            a.cmp(ebx, edx);
            Instructions[instruction](a);
            a.setz(bl);
            a.@int(0x80);
        });
        if (seed % 3 == 1)
        {
            platform.Protect(Data + 0x2000, PageRights.None);
            platform.Protect(Data + 0x5000, PageRights.Present | PageRights.User);
        }
        else if (seed % 3 == 2)
        {
            platform.Map(Data + 0x4000, Data + 0x1000);
            platform.Map(Data + 0x3000, Data + 0x6000);
        }

        using Engine engine = EngineUnderTest.Create(engineName, platform);
        var all = new System.Text.StringBuilder();
        for (int run = 0; run < 40; run++)
        {
            Fill(platform, random);
            CpuState* cpu = platform.Cpu;
            cpu->Eflags = (cpu->Eflags & ~Flags.Df) | (random.Next(6) == 0 ? Flags.Df : 0);
            uint source = Data + 0x800 + (uint)random.Next(0x7000), destination = Data + 0x800 + (uint)random.Next(0x7000);
            cpu->Gpr[(int)Gpr.Esi] = source;
            cpu->Gpr[(int)Gpr.Edi] = random.Next(3) == 0 ? (uint)(source + random.Next(-9, 10)) : destination;
            cpu->Gpr[(int)Gpr.Ecx] = random.Next(8) switch { 0 => 0u, < 4 => (uint)random.Next(1, 9), < 6 => (uint)random.Next(600), _ => (uint)random.Next(0x3000) };
            cpu->Gpr[(int)Gpr.Eax] = random.Next(2) == 0 ? 0 : 0x07070707u;
            cpu->Gpr[(int)Gpr.Ebx] = (uint)random.Next(3);
            cpu->Gpr[(int)Gpr.Edx] = (uint)random.Next(3);
            Run(engine, platform);
            string registers = string.Join(' ', Enumerable.Range(0, 8).Select(i => cpu->Gpr[i].ToString("x8")));
            all.Append($"[{run}] eip {cpu->Eip:x} {registers} flags {LazyFlags.Read(cpu):x} memory {Sum(platform)} ");
            all.Append($"retired {cpu->RetiredInterpreted + cpu->RetiredQuick + cpu->RetiredOptimized} ");
            all.Append(string.Join(',', platform.Faults.Select(fault => $"{fault.Vector}:{fault.ErrorCode}:{fault.Address:x}")));
            platform.Faults.Clear();
            Assert.True(cpu->Eip is > Code and < Code + 16, $"{cpu->Eip:x}");
        }

        return all.ToString();
    }

    /// <summary>Long runs of the same byte, so that comparisons and scans get far, with something else now and then.</summary>
    private static void Fill(TestPlatform platform, Random random)
    {
        var memory = new byte[Bytes + 0x1000];
        Array.Fill(memory, (byte)(random.Next(2) * 7));
        for (int i = 0; i < 4; i++)
        {
            memory[random.Next(memory.Length)] = (byte)random.Next(256);
        }

        if (random.Next(4) == 0)
        {
            random.NextBytes(memory);
        }

        platform.Write(Data, memory);
    }

    private static string Sum(TestPlatform platform) =>
        Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(new ReadOnlySpan<byte>(platform.Memory + Data, (int)Bytes + 0x1000)))[..16];

    private static void Run(Engine engine, TestPlatform platform)
    {
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
    }
}
