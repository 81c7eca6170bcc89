using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>
/// Programs that reach memory by the address window: they do, what they get is what the interpreter gets, and what isn't to be had faults as it does there.
/// </summary>
public sealed unsafe class WindowTests
{
    private const uint Code = 0x10000, Data = 0x100000, Pages = 64, DataBytes = Pages << 12;
    private const int MostVain = 40;

    private static readonly uint[] s_near = [0xFFFF_FFF0, 0xFFFF_FFFE, 0xFFFF_F000, 0xFFFF_EFFD, 0, 2, 0x0FFE, 0x2_0000, 0x7_FFF8, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0FF4, 0xFFF8_0001, 0x10_0000];

    public static TheoryData<string> Engines => ["interpreter", "checked", "windowed"];

    public static TheoryData<string, int> Refusals
    {
        get
        {
            var all = new TheoryData<string, int>();
            foreach (string engine in (string[])["interpreter", "checked", "windowed"])
            {
                all.Add(engine, (int)PageRights.None);
                all.Add(engine, (int)(PageRights.Present | PageRights.User));
                all.Add(engine, (int)(PageRights.Present | PageRights.Write));
            }

            return all;
        }
    }

    public static TheoryData<bool> Either => [false, true];

    [X64Fact]
    public void EachPageIsMissedOnceAndThenThere()
    {
        (TestPlatform platform, EngineStatistics statistics) = RunAll("windowed", rounds: 50);
        using (platform)
        {
            // Sixteen at a time, as far as they have been looked up. Where the first access was a read, the first write misses once more.
            Assert.InRange(statistics.SideExits.GetValueOrDefault("window-miss"), Pages / AddressWindow.GroupPages, (2 * Pages) + 4);

            // An access that can't be freed is checked.
            Assert.InRange(statistics.SideExits.Where(static exit => exit.Key.StartsWith("tlb-miss", StringComparison.Ordinal)).Sum(static exit => exit.Value), 0, 4);
        }
    }

    [X64Theory]
    [MemberData(nameof(Either))]
    public void AllKindsOfAccessesDoWhatTheyDoInTheInterpreter(bool shared)
    {
        (TestPlatform expected, _) = RunAll("interpreter", rounds: 7);
        (TestPlatform platform, EngineStatistics statistics) = RunAll("windowed", rounds: 7, shared);
        using (expected)
        using (platform)
        {
            AssertSame(expected, platform);

            // Memory that can't be mapped again is not tried for ever.
            Assert.InRange(statistics.SideExits.GetValueOrDefault("window-miss"), 1, shared ? (2 * Pages) + 4 : 100);
        }
    }

    [X64Fact]
    public void NobodyHasToUseIt()
    {
        (TestPlatform platform, EngineStatistics statistics) = RunAll("checked", rounds: 7);
        (TestPlatform expected, _) = RunAll("interpreter", rounds: 7);
        using (expected)
        using (platform)
        {
            AssertSame(expected, platform);
            Assert.Equal(0, statistics.SideExits.GetValueOrDefault("window-miss"));
        }
    }

    /// <summary>
    /// Another thread takes a page away while the program goes around. When it has done so, nothing is written there any more but by an access that was under way; and the fault finds all registers, flags and
    /// counts as they are before that instruction.
    /// </summary>
    [X64Theory]
    [InlineData("interpreter")]
    [InlineData("windowed")]
    public void APageThatAnotherThreadTakesAwayFaultsAtOnce(string engineName)
    {
        const int Rounds = 200;
        const uint Step = 0x3000_0001;
        using var platform = new TestPlatform();
        var at = new List<uint>();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.xor(ebx, ebx);
            a.xor(edi, edi);
            a.xor(edx, edx);
            a.Label(ref again);
            a.inc(ebx);
            a.mov(__dword_ptr[esi], ebx);
            a.add(edi, ebx);
            a.mov(ecx, __dword_ptr[esi]);
            a.add(__dword_ptr[esi + 8], ebx);
            a.sub(edx, unchecked((int)Step));
            a.paddd(xmm0, xmm1);
            a.movups(__xmmword_ptr[esi + 0x30], xmm0);
            a.movzx(eax, __word_ptr[esi + 0x34]);
            a.push(ebx);
            a.pop(ebp);
            a.jmp(again);
        });
        uint[] eips = Eips(platform, Code, 15);
        platform.Cpu->Gpr[(int)Gpr.Esi] = Data;
        platform.Cpu->Gpr[(int)Gpr.Esp] = Data + 0x800;
        SetXmm(platform, 0, 0);
        SetXmm(platform, 1, 1);
        using var taken = new SemaphoreSlim(0);
        PageRights now = PageRights.All;
        bool gone = false;
        uint seen = 0;
        string? wrong = null;
        var places = new Dictionary<uint, int>();
        platform.OnFault = fault =>
        {
            // The other thread reads what was written when the page had gone.
            taken.Wait(TimeSpan.FromSeconds(20));
            wrong ??= Check(fault);
            places[platform.Cpu->Eip] = places.GetValueOrDefault(platform.Cpu->Eip) + 1;
            platform.Protect(Data, PageRights.All);
            Volatile.Write(ref gone, false);
            return wrong is null;
        };
        using Engine engine = Create(engineName, platform);
        var other = new Thread(() =>
        {
            var random = new Random(5);
            for (int round = 0; round < Rounds && Volatile.Read(ref wrong) is null; round++)
            {
                Thread.SpinWait(random.Next(30_000));
                PageRights rights = (round % 3) switch { 0 => PageRights.None, 1 => PageRights.Present | PageRights.User, _ => PageRights.Present | PageRights.Write };
                now = rights;
                Volatile.Write(ref gone, true);
                platform.Protect(Data, rights);
                seen = Volatile.Read(ref *(uint*)(platform.Memory + Data));
                taken.Release();
                for (int waits = 0; Volatile.Read(ref gone) && waits < 20_000 && Volatile.Read(ref wrong) is null; waits++)
                {
                    Thread.Sleep(waits < 10 ? 0 : 1);
                }

                if (Volatile.Read(ref gone) && wrong is null)
                {
                    wrong = $"round {round}: no fault";
                }
            }

            platform.Stop();
        });
        other.Start();
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        other.Join();
        Assert.Null(wrong);
        Assert.Equal(Rounds, platform.Faults.Count);
        Assert.True(places.Count > 1);
        if (engineName == "windowed")
        {
            Assert.InRange(engine.Statistics.SideExits.GetValueOrDefault("window-miss"), Rounds, 4 * Rounds);
        }

        string? Check(in Fault fault)
        {
            CpuState* cpu = platform.Cpu;
            int k = Array.IndexOf(eips, cpu->Eip);
            uint n = cpu->Gpr[(int)Gpr.Ebx];
            bool write = k is 4 or 7 or 10 or 12;
            uint offset = k switch { 4 or 6 => 0, 7 => 8, 10 => 0x30, 11 => 0x34, 12 => 0x7FC, 13 => 0x7FC, _ => uint.MaxValue };
            PageFaultCode code = PageFaultCode.User | (write ? PageFaultCode.Write : 0) | (now == PageRights.None ? 0 : PageFaultCode.Protection);
            uint before = n - 1;
            uint[] memory =
            [
                k > 4 ? n : before, k > 7 ? Sum(n) : Sum(before), k > 10 ? n : before, k > 12 ? n : before,
            ];
            uint[] registers =
            [
                k > 11 ? n & 0xFFFF : before & 0xFFFF, k > 6 ? n : before, unchecked(0u - (Step * (k > 8 ? n : before))), k > 5 ? Sum(n) : Sum(before), k > 13 ? n : before, Data + (k == 13 ? 0x7FCu : 0x800),
            ];
            uint[] actual =
            [
                cpu->Gpr[(int)Gpr.Eax], cpu->Gpr[(int)Gpr.Ecx], cpu->Gpr[(int)Gpr.Edx], cpu->Gpr[(int)Gpr.Edi], cpu->Gpr[(int)Gpr.Ebp], cpu->Gpr[(int)Gpr.Esp],
            ];
            uint[] found =
            [
                platform.Read32(Data), platform.Read32(Data + 8), platform.Read32(Data + 0x30), platform.Read32(Data + 0x7FC),
            ];
            if (n == 1)
            {
                // What the first round finds in these isn't of its making.
                (registers[0], registers[1], registers[4]) = (k > 11 ? registers[0] : actual[0], k > 6 ? registers[1] : actual[1], k > 13 ? registers[4] : actual[4]);
            }

            uint subtracted = unchecked(0u - (Step * before)), flags = k switch
            {
                4 => (Addition(before, 1) & ~Flags.Cf) | (n > 1 && unchecked(0u - (Step * (n - 2))) < Step ? Flags.Cf : 0),
                6 => Addition(Sum(before), n),
                7 => Addition(Sum(before), n),
                _ => Subtraction(subtracted, Step),
            };
            ulong retired = 3 + (12ul * before) + (ulong)(k - 3);
            string text = $"at {k} round {n}, {now}:";
            return offset == uint.MaxValue ? $"{text} EIP {cpu->Eip:x}"
                : fault.Vector != Vector.PageFault || fault.Address != Data + offset || (PageFaultCode)fault.ErrorCode != code ? $"{text} {fault}, should be at {offset:x} with {code}"
                : !registers.SequenceEqual(actual) ? $"{text} registers {Hex(actual)}, should be {Hex(registers)}"
                : !memory.SequenceEqual(found) ? $"{text} memory {Hex(found)}, should be {Hex(memory)}"
                : (LazyFlags.Read(cpu) & Flags.Status) != flags ? $"{text} flags {LazyFlags.Read(cpu) & Flags.Status:x}, should be {flags:x}"
                : Retired(platform) != retired ? $"{text} {Retired(platform)} retired, should be {retired}"
                : found[0] - seen > 1 ? $"{text} {found[0] - seen} rounds since it was taken away"
                : null;
        }
    }

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
            platform.Assemble(Code, a =>
            {
                Label again = a.CreateLabel();
                a.clc();
                a.Label(ref again);
                access(a);
                a.inc(esi);
                a.dec(ecx);
                a.jnz(again);
                a.@int(0x80);
            });
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
            expected.Assemble(Code, a =>
            {
                Label again = a.CreateLabel();
                a.clc();
                a.Label(ref again);
                access(a);
                a.inc(esi);
                a.dec(ecx);
                a.jnz(again);
                a.@int(0x80);
            });
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

        Assert.InRange(engine.Statistics.SideExits.GetValueOrDefault("window-miss"), 0, 8 * MostVain);
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
