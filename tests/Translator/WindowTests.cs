using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>
/// Programs that reach memory by the address window: they do, what they get is what the interpreter gets, and what isn't to be had faults as it does there.
/// </summary>
public sealed unsafe partial class WindowTests
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
                SpinWait.SpinUntil(() => !Volatile.Read(ref gone) || Volatile.Read(ref wrong) is not null, TimeSpan.FromSeconds(20));

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
}
