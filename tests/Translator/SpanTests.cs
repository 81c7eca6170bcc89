using System.Globalization;
using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>
/// Accesses that are checked together (Emit/Spans) do what each does by itself: at the ends of pages whose neighbours lie elsewhere, around half of
/// the address space, on pages that can't be written, while the page tables change.
/// </summary>
public sealed unsafe class SpanTests
{
    private const uint Code = 0x10000, Data = 0x100000, Pages = 8;
    private const uint Half = 0x80000000;

    private static readonly AssemblerRegister32[] Bases = [eax, ebx, esi, edi, ebp, esp];
    private static readonly AssemblerRegister32[] Values = [ecx, edx];
    private static readonly uint[] Distances =
        [0, 1, 2, 3, 4, 8, 12, 0x7C, 0x7F, 0x80, 0xFF0, 0xFFD, 0xFFE, 0x1000, unchecked((uint)-1), unchecked((uint)-4), unchecked((uint)-0x80), 0x7FFFFFFF, Half, Half + 1, Half + 2, Half - 4];

    public static TheoryData<string> Engines => ["quick", "optimized", "tiered-direct"];

    [Theory]
    [MemberData(nameof(Engines))]
    public void OffsetsThatAreHalfTheAddressSpaceApartAreNotNearOneAnother(string engine) => Compare(engine, 0, a =>
    {
        a.mov(cl, __byte_ptr[eax + unchecked((int)Half)]);
        a.mov(cl, __byte_ptr[eax + unchecked((int)(Half + 1))]);
        a.mov(edx, __dword_ptr[eax]);
        a.mov(__dword_ptr[eax + 8], edx);
    });

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnAccessOverTheEndOfAKnownPageIsCheckedByItself(string engine) => Compare(engine, 0, a =>
    {
        a.mov(cl, __byte_ptr[Data + 0x64]);
        a.mov(edx, __dword_ptr[Data + 0xFFE]);
        a.mov(__dword_ptr[Data + 0x1FFD], edx);
        a.movdqu(xmm0, __xmmword_ptr[Data + 0x2FF1]);
        a.movdqu(__xmmword_ptr[Data + 0x10], xmm0);
    });

    [Theory]
    [MemberData(nameof(Engines))]
    public void RandomAccessesEndInTheInterpretersState(string engine)
    {
        for (int seed = 1; seed <= 150; seed++)
        {
            Compare(engine, seed, Program(seed));
        }
    }

    private static Action<Assembler> Program(int seed) => a =>
    {
        var random = new Random(seed);
        for (int i = 0; i < 14; i++)
        {
            AssemblerRegister32 based = Bases[random.Next(Bases.Length)];
            AssemblerRegister32 value = Values[random.Next(2)];
            int distance = unchecked((int)Distances[random.Next(Distances.Length)]);
            uint? known = random.Next(5) == 0 ? Data + ((uint)random.Next(4) * 0x1000) + (uint)(0xFF8 + random.Next(8)) : null;
            switch (random.Next(9))
            {
                case 0: a.mov(value, At(__dword_ptr)); break;
                case 1: a.mov(At(__dword_ptr), value); break;
                case 2: a.movzx(value, At(__word_ptr)); break;
                case 3: a.mov(At(__word_ptr), cx); break;
                case 4: a.add(At(__byte_ptr), dl); break;
                case 5: a.add(based, random.Next(-8, 8)); break;
                case 6: a.push(value); break;
                case 7: a.pop(value); break;
                case 8: a.pop(At(__dword_ptr)); break;
            }

            AssemblerMemoryOperand At(AssemblerMemoryOperandFactory size) => known is uint address ? size[address] : size[based + distance];
        }
    };

    private static void Compare(string engine, int seed, Action<Assembler> body)
    {
        string expected = Run("interpreter", seed, body), actual = Run(engine, seed, body);
        Assert.True(expected == actual, $"seed {seed}\nexpected {expected}\nactual   {actual}");
    }

    private static string Run(string engineName, int seed, Action<Assembler> body)
    {
        using var platform = new TestPlatform();
        var random = new Random(seed);
        Label again = default;
        uint end = platform.Assemble(Code, a =>
        {
            again = a.CreateLabel();
            a.Label(ref again);
            body(a);
            a.@int(0x80);
        });
        Assert.True(end < Code + 0x1000);
        for (uint i = 0; i < Pages; i++)
        {
            // Neighbours lie far from one another, and half the address space away other pages are.
            platform.Map(Data + (i * 0x1000), Data + 0x40000 + (i * 0x3000));
            platform.Map(Half + Data + (i * 0x1000), Data + 0x80000 + (i * 0x3000));
            new Random(7).NextBytes(new Span<byte>(platform.Memory + Data + 0x40000 + (i * 0x3000), 0x1000));
        }

        if (seed % 5 == 4)
        {
            platform.Protect(Data + 0x2000, PageRights.Present | PageRights.User);
        }

        using Engine engine = EngineUnderTest.Create(engineName, platform);
        CpuState* cpu = platform.Cpu;
        for (int run = 0; run < 80; run++)
        {
            cpu->Eip = Code;
            for (int register = 0; register < 8; register++)
            {
                // Most often within one page, or near an end of it.
                cpu->Gpr[register] = Data + ((uint)random.Next((int)Pages) * 0x1000) + (uint)(random.Next(3) == 0 ? 0xFE0 + random.Next(0x40) : random.Next(0xF00));
            }

            engine.Run(cpu);
        }

        string registers = string.Join(' ', Enumerable.Range(0, 8).Select(i => cpu->Gpr[i].ToString("x8", CultureInfo.InvariantCulture)));
        uint sum = 0;
        for (uint at = Data; at < Data + 0x100000; at++)
        {
            sum = (sum * 31) + platform.Memory[at];
        }

        string faults = string.Join(' ', platform.Faults.Select((fault, i) => $"{fault.Vector}:{fault.ErrorCode:x}:{fault.Address:x8}@{platform.FaultEips[i]:x8}"));
        return $"{registers} flags {LazyFlags.Status(cpu):x} memory {sum:x8} faults {faults}";
    }
}
