using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <content>Where accesses lie: across pages, beside code, around the end of the address space.</content>
public sealed unsafe partial class WindowTests
{
    /// <summary>Accesses that move across a boundary byte by byte; the second page was there, and no longer is.</summary>
    [X64Theory]
    [MemberData(nameof(Refusals))]
    public void AnAccessWhoseSecondPageIsRefusedWritesNothing(string engineName, int secondPage)
    {
        var rights = (PageRights)secondPage;
        const uint Boundary = Data + 0x1000, Start = Boundary - 0x40, Count = 0x60, Stack = Data + 0x10800;
        bool reads = rights == (PageRights.Present | PageRights.User);
        foreach ((string name, int size, bool write, Action<Assembler> access) in Crossing())
        {
            using var platform = new TestPlatform();
            platform.Assemble(Code, a => Move(a, access));
            using Engine engine = Create(engineName, platform);
            for (int i = 0; i < 4; i++)
            {
                Run();
                Assert.True(platform.Faults.Count == 0, name);
            }

            platform.Protect(Boundary, rights);
            Run();
            if (!write && reads)
            {
                Assert.True(platform.Faults.Count == 0, name);
                continue;
            }

            uint at = Boundary - (uint)size + 1;
            Fault fault = Assert.Single(platform.Faults);
            PageFaultCode code = PageFaultCode.User | (write ? PageFaultCode.Write : 0) | (rights == PageRights.None ? 0 : PageFaultCode.Protection);
            Assert.Equal((name, Vector.PageFault, Boundary, code), (name, fault.Vector, fault.Address, (PageFaultCode)fault.ErrorCode));
            uint stack = name switch { "push" => at + 4, "pop" => at, _ => Stack };
            Assert.Equal((name, at, Count - (at - Start), stack), (name, platform.Cpu->Gpr[(int)Gpr.Esi], platform.Cpu->Gpr[(int)Gpr.Ecx], platform.Cpu->Gpr[(int)Gpr.Esp]));

            // As far as it came, and no further: the same loop that is never led to the boundary.
            using var expected = new TestPlatform();
            expected.Assemble(Code, a => Move(a, access));
            using Engine interpreter = EngineUnderTest.Create("interpreter", expected);
            Prepare(expected, at - Start);
            interpreter.Run(expected.Cpu);
            Assert.True(new ReadOnlySpan<byte>(expected.Memory + Data, 0x3000).SequenceEqual(new ReadOnlySpan<byte>(platform.Memory + Data, 0x3000)), name);

            void Run()
            {
                Prepare(platform, Count);
                engine.Run(platform.Cpu);
            }
        }

        static void Prepare(TestPlatform platform, uint count)
        {
            new Random(3).NextBytes(new Span<byte>(platform.Memory + Data, 0x3000));
            CpuState* cpu = platform.Cpu;
            (cpu->Gpr[(int)Gpr.Esi], cpu->Gpr[(int)Gpr.Ecx], cpu->Gpr[(int)Gpr.Eax], cpu->Gpr[(int)Gpr.Esp]) = (Start, count, 0x4433_2211, Stack);
            cpu->Gpr[(int)Gpr.Edx] = 0x1357_9BDF;
            SetXmm(platform, 0, 0x8877_6655);
            cpu->Eip = Code;
        }
    }

    [X64Theory]
    [MemberData(nameof(Engines))]
    public void DataBesideCodeAreWrittenWithoutTheWindow(string engineName)
    {
        const uint Beside = Code + 0x800, Count = 20_000;
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, Count);
            a.mov(esi, Beside);
            a.Label(ref again);
            a.inc(__dword_ptr[esi]);
            a.mov(eax, __dword_ptr[esi]);
            a.add(__dword_ptr[esi + 4], eax);
            a.mov(__dword_ptr[Data], eax);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        using Engine engine = Create(engineName, platform);
        for (uint run = 1; run <= 3; run++)
        {
            platform.Cpu->Eip = Code;
            engine.Run(platform.Cpu);
            Assert.Equal((run * Count, Sum(run * Count), run * Count), (platform.Read32(Beside), platform.Read32(Beside + 4), platform.Read32(Data)));
        }

        Assert.InRange(engine.Statistics.SideExits.GetValueOrDefault("window-miss"), engineName == "windowed" ? 1 : 0, engineName == "windowed" ? 2 * MostVain : 0);
    }

    /// <summary>A page becomes one with code when it has been mapped for writing: what is written there is seen all the same.</summary>
    [X64Theory]
    [MemberData(nameof(Engines))]
    public void CodeOnAPageThatWasWrittenIsSeenToChange(string engineName)
    {
        const uint Function = Data + 0x500, Count = 300;
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel(), fill = a.CreateLabel();
            a.mov(edx, Count);
            a.xor(ebx, ebx);
            a.Label(ref again);

            // mov eax, edx (as a constant); ret
            a.mov(__byte_ptr[Function], unchecked((sbyte)0xB8));
            a.mov(__dword_ptr[Function + 1], edx);
            a.mov(__byte_ptr[Function + 5], unchecked((sbyte)0xC3));
            a.mov(ecx, 20);
            a.Label(ref fill);
            a.add(__dword_ptr[Data + 0x800], ecx);
            a.dec(ecx);
            a.jnz(fill);
            a.call(Function);
            a.add(ebx, eax);
            a.dec(edx);
            a.jnz(again);
            a.@int(0x80);
        });
        using Engine engine = Create(engineName, platform);
        for (uint run = 1; run <= 2; run++)
        {
            platform.Cpu->Eip = Code;
            engine.Run(platform.Cpu);
            Assert.Equal((Sum(Count), run * Count * Sum(20)), (platform.Cpu->Gpr[(int)Gpr.Ebx], platform.Read32(Data + 0x800)));
        }

        // The page goes out of the window each time that its code has run.
        Assert.InRange(engine.Statistics.SideExits.GetValueOrDefault("window-miss"), 0, (2 * Count) + MostVain);
    }

    /// <summary>Addresses that lead across either end of the address space go around, by all displacements, and fault where the interpreter's do.</summary>
    [X64Theory]
    [InlineData("checked")]
    [InlineData("windowed")]
    public void AddressesGoAround(string engineName)
    {
        foreach (int displacement in (int[])[0, 0x20, -8, -3, 0x1000, -0x1001, 0x7_FFFF, 0x8_0000, -0x7_FFFF, -0x8_0000, 0x10_0000, -0x10_0000, 0x7FFF_FFFF, int.MinValue])
        {
            string expected = Wrap("interpreter", displacement, out _), found = Wrap(engineName, displacement, out long misses);
            Assert.True(expected == found, $"{displacement:x}:\n{expected}\n{found}");
            Assert.True(engineName != "windowed" || misses > 0);
        }
    }

    private static string Wrap(string engineName, int displacement, out long misses)
    {
        using var platform = new TestPlatform();
        platform.Map(0xFFFF_F000, 0x30_0000);
        platform.Map(0x8000_0000, 0x30_1000);
        platform.Map(0x7FFF_F000, 0x30_2000);
        new Random(4).NextBytes(new Span<byte>(platform.Memory + 0x30_0000, 0x3000));
        new Random(5).NextBytes(new Span<byte>(platform.Memory, 0x1_0000));
        new Random(6).NextBytes(new Span<byte>(platform.Memory + 0x2_0000, 0x10_0000));
        const uint Table = 0x32_0000;
        for (int i = 0; i < s_near.Length; i++)
        {
            platform.Write32(Table + ((uint)i * 4), s_near[i]);
        }

        uint end = platform.Assemble(Code, a =>
        {
            Label round = a.CreateLabel(), again = a.CreateLabel();
            a.xor(ebx, ebx);
            a.mov(edi, 40);
            a.Label(ref round);
            a.xor(ecx, ecx);
            a.Label(ref again);
            a.mov(esi, __dword_ptr[(ecx * 4) + Table]);
            a.mov(eax, __dword_ptr[esi + displacement]);
            a.add(ebx, eax);
            a.movzx(eax, __byte_ptr[esi + displacement]);
            a.rol(ebx, 3);
            a.add(ebx, eax);
            a.mov(__dword_ptr[esi + displacement], ebx);
            a.add(__word_ptr[esi + displacement + 2], bx);
            a.xor(eax, eax);
            a.add(ebx, __dword_ptr[esi + (eax * 4) + displacement]);
            a.movups(xmm2, __xmmword_ptr[esi + displacement]);
            a.paddd(xmm2, xmm2);
            a.movq(__qword_ptr[esi + displacement + 4], xmm2);
            a.inc(ecx);
            a.cmp(ecx, s_near.Length);
            a.jb(again);
            a.dec(edi);
            a.jnz(round);
            a.@int(0x80);
        });
        uint[] eips = Eips(platform, Code, (int)(end - Code));
        var text = new System.Text.StringBuilder();
        uint hash = 0;
        platform.OnFault = fault =>
        {
            CpuState* cpu = platform.Cpu;
            string line = $"{fault.Vector} {fault.Address:x} {fault.ErrorCode:x} at {cpu->Eip:x} ebx {cpu->Gpr[(int)Gpr.Ebx]:x} ecx {cpu->Gpr[(int)Gpr.Ecx]} flags {LazyFlags.Read(cpu) & Flags.Status:x}";
            hash = line.Aggregate(hash, static (sum, c) => (sum * 31) + c);
            if (platform.Faults.Count <= 60)
            {
                text.AppendLine(line);
            }

            cpu->Eip = eips[Array.IndexOf(eips, cpu->Eip) + 1];
            return true;
        };
        using Engine engine = Create(engineName, platform);
        platform.Cpu->Eip = Code;
        SetXmm(platform, 2, 0);
        engine.Run(platform.Cpu);
        misses = engine.Statistics.SideExits.GetValueOrDefault("window-miss");
        uint contents = 0;
        for (uint i = 0; i < platform.Size; i += 4)
        {
            contents = (contents * 31) + platform.Read32(i);
        }

        return text.AppendLine($"{platform.Faults.Count} {hash:x} {platform.Cpu->Gpr[(int)Gpr.Ebx]:x} {contents:x} {Retired(platform)}").ToString();
    }

    private static IEnumerable<(string Name, int Size, bool Write, Action<Assembler> Access)> Crossing() =>
    [
        ("load 2", 2, false, static a => a.movzx(edx, __word_ptr[esi])),
        ("load 4", 4, false, static a => a.mov(edx, __dword_ptr[esi])),
        ("compare 4", 4, false, static a => a.cmp(eax, __dword_ptr[esi])),
        ("load 8", 8, false, static a => a.movq(xmm1, __qword_ptr[esi])),
        ("load 16", 16, false, static a => a.movups(xmm1, __xmmword_ptr[esi])),
        ("store 2", 2, true, static a => a.mov(__word_ptr[esi], ax)),
        ("store 4", 4, true, static a => a.mov(__dword_ptr[esi], eax)),
        ("constant", 4, true, static a => a.mov(__dword_ptr[esi], 0x0102_0304)),
        ("store 8", 8, true, static a => a.movq(__qword_ptr[esi], xmm0)),
        ("store 16", 16, true, static a => a.movups(__xmmword_ptr[esi], xmm0)),
        ("add 2", 2, true, static a => a.add(__word_ptr[esi], ax)),
        ("adc 4", 4, true, static a => a.adc(__dword_ptr[esi], eax)),
        ("rotate", 4, true, static a => a.rol(__dword_ptr[esi], 5)),
        ("exchange", 4, true, static a => a.xadd(__dword_ptr[esi], edx)),
        ("locked", 4, true, static a => a.@lock.add(__dword_ptr[esi], eax)),
        ("push", 4, true, static a =>
        {
            a.mov(edi, esp);
            a.lea(esp, __[esi + 4]);
            a.push(eax);
            a.mov(esp, edi);
        }
        ),
        ("pop", 4, false, static a =>
        {
            a.mov(edi, esp);
            a.mov(esp, esi);
            a.pop(edx);
            a.mov(esp, edi);
        }
        ),
    ];

    private static void Move(Assembler a, Action<Assembler> access)
    {
        Label again = a.CreateLabel();
        a.clc();
        a.Label(ref again);
        access(a);
        a.inc(esi);
        a.dec(ecx);
        a.jnz(again);
        a.@int(0x80);
    }
}
