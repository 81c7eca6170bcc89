using System.Runtime.InteropServices;
using System.Text;
using Dbt.Translator.Instructions;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Interpretation.Portable;
using Dbt.Translator.State;
using Iced.Intel;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Tests.Translator.FloatingPoint;

/// <summary>Runs x87 instructions by the host's own unit and by managed code, on the same area, and compares all of it.</summary>
internal sealed unsafe class X87Comparison : IDisposable
{
    private const uint StatusFlags = 0x8D5;

    private readonly byte* _buffer = (byte*)NativeMemory.AlignedAlloc(2048, 64);
    private readonly CpuState* _cpu = CpuState.Allocate();

    /// <summary>Every encoding of every x87 instruction that has host code and is not one of <paramref name="excluded"/>.</summary>
    public static Instruction[] Encodings(Predicate<Mnemonic> wanted)
    {
        var found = new List<Instruction>();
        for (int opcode = 0xD8; opcode <= 0xDF; opcode++)
        {
            for (int modrm = 0; modrm < 256; modrm++)
            {
                // One register encodes memory as well as any other.
                if (modrm < 0xC0 && (modrm & 0xC7) != 3)
                {
                    continue;
                }

                Instruction instruction = Decoder.Create(32, new ByteArrayCodeReader([(byte)opcode, (byte)modrm, 0, 0])).Decode();
                if (!instruction.IsInvalid && wanted(instruction.Mnemonic)
                    && InstructionTable.Lookup(instruction) is { } row && (row.Traits & RowTraits.NativeThunk) != 0)
                {
                    found.Add(instruction);
                }
            }
        }

        return [.. found];
    }

    /// <summary>Whether the ordinary case of an instruction runs apart from the whole area.</summary>
    public static bool HasFastForm(Instruction instruction) => NativeThunks.Get(NativeThunks.Find(instruction)).Fast is not null;

    /// <summary>
    /// How far the portable results are from the host's, where these are numbers of the same sign: the largest distance in units of the
    /// last place over ST(0) and ST(1), after <see cref="Run"/>. A large number where they are not to be compared.
    /// </summary>
    public ulong Distance()
    {
        ulong largest = 0;
        for (int i = 0; i < 2; i++)
        {
            byte* a = Native->Stack + (16 * i), b = Portable->Stack + (16 * i);
            // As one integer of 79 bits, neighbours are a step apart, also from one exponent to the next.
            UInt128 left = ((UInt128)(*(ushort*)(a + 8) & 0x7FFFu) << 63) + (*(ulong*)a & (ulong.MaxValue >> 1));
            UInt128 right = ((UInt128)(*(ushort*)(b + 8) & 0x7FFFu) << 63) + (*(ulong*)b & (ulong.MaxValue >> 1));
            UInt128 distance = left > right ? left - right : right - left;
            bool same = ((*(ushort*)(a + 8) ^ *(ushort*)(b + 8)) & 0x8000) == 0;
            largest = Math.Max(largest, same && distance < 1UL << 62 ? (ulong)distance : 1UL << 62);
        }

        return largest;
    }

    /// <summary>Runs an instruction both ways.</summary>
    /// <returns>Null where all agrees, else what does not.</returns>
    public string? Run(in Instruction instruction, byte[] area, byte[] memory, uint eflags)
    {
        NativeThunk native = NativeThunks.Get(NativeThunks.Find(instruction));
        NativeThunk portable = NativeThunks.Get(NativeThunks.Find(instruction, portable: true));
        if (native.Managed is not null || portable.Managed is not PortableX87)
        {
            throw new InvalidOperationException($"{instruction} does not run both ways.");
        }

        NativeRegisters left = One(native, _buffer, area, memory, eflags), right = One(portable, _buffer + 1024, area, memory, eflags);
        return Compare(instruction, native, area, memory, left.Eflags, right.Eflags);
    }

    /// <summary>Runs an instruction by the host's code for the whole area and by its fast form, which all exceptions must be masked for.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="area">The area before.</param>
    /// <param name="memory">The memory operand.</param>
    /// <param name="eflags">Status flags before.</param>
    /// <param name="taken">Whether the fast form took it; where it didn't, it must have left all as it was.</param>
    /// <returns>Null where all agrees, else what does not.</returns>
    public string? RunFast(in Instruction instruction, byte[] area, byte[] memory, uint eflags, out bool taken)
    {
        NativeThunk native = NativeThunks.Get(NativeThunks.Find(instruction));
        byte* fast = _buffer + 1024;
        Arrange(fast, area, memory);
        _cpu->FlagOp = 0;
        _cpu->Eflags = eflags | 2;
        taken = native.Fast!.TryRun(_cpu, (FxState*)fast, native.MemorySize != 0 ? fast + 512 : null);
        NativeRegisters left = default;
        left.Eflags = eflags | 2;
        if (taken)
        {
            left = One(native, _buffer, area, memory, eflags);
        }
        else
        {
            Arrange(_buffer, area, memory);
        }

        return Compare(instruction, native, area, memory, left.Eflags, LazyFlags.Status(_cpu));
    }

    private string? Compare(in Instruction instruction, NativeThunk native, byte[] area, byte[] memory, uint left, uint right)
    {
        byte* first = _buffer, second = _buffer + 1024;
        StringBuilder? text = null;
        Part("fcw", first, second, 0, 2, ref text);
        Part("fsw", first, second, 2, 2, ref text);
        Part("ftw", first, second, 4, 1, ref text);
        for (int i = 0; i < 8; i++)
        {
            Part("st" + i, first, second, 32 + (16 * i), 10, ref text);
        }

        // A store that an unmasked exception stops leaves its caller's bytes alone.
        var state = (FxState*)first;
        if (native.WritesMemory && (state->StatusWord & 0x1F & ~state->ControlWord) == 0)
        {
            Part("memory", first, second, 512, native.MemorySize, ref text);
        }

        if (native.WritesFlags && ((left ^ right) & StatusFlags) != 0)
        {
            text ??= new StringBuilder();
            text.Append($"  eflags: native {left & StatusFlags:X3}, portable {right & StatusFlags:X3}\n");
        }

        return text is null ? null : $"{instruction}\n{Describe(area, memory)}{text}";
    }

    /// <summary>What the native side left, after <see cref="Run"/>.</summary>
    public FxState* Native => (FxState*)_buffer;

    /// <summary>What the portable side left.</summary>
    public FxState* Portable => (FxState*)(_buffer + 1024);

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(_buffer);
        CpuState.Free(_cpu);
    }

    private static NativeRegisters One(NativeThunk thunk, byte* buffer, byte[] area, byte[] memory, uint eflags)
    {
        Arrange(buffer, area, memory);
        NativeRegisters registers = default;
        registers.Eflags = eflags | 2;
        thunk.Run(buffer, buffer + 512, &registers);
        return registers;
    }

    private static void Arrange(byte* buffer, byte[] area, byte[] memory)
    {
        area.CopyTo(new Span<byte>(buffer, 512));
        memory.CopyTo(new Span<byte>(buffer + 512, 16));
        ((FxState*)buffer)->Mxcsr = 0x1F80;
    }

    private static void Part(string name, byte* a, byte* b, int offset, int length, ref StringBuilder? text)
    {
        var x = new ReadOnlySpan<byte>(a + offset, length);
        var y = new ReadOnlySpan<byte>(b + offset, length);
        if (!x.SequenceEqual(y))
        {
            text ??= new StringBuilder();
            text.Append($"  {name}: native {Hex(x)}, portable {Hex(y)}\n");
        }
    }

    private static string Describe(byte[] area, byte[] memory)
    {
        var text = new StringBuilder($"  before: fcw {Hex(area.AsSpan(0, 2))} fsw {Hex(area.AsSpan(2, 2))} ftw {area[4]:X2} memory {Hex(memory.AsSpan(0, 10))}\n");
        for (int i = 0; i < 8; i++)
        {
            text.Append($"    st{i} {Hex(area.AsSpan(40 + (16 * i), 2))} {Hex(area.AsSpan(32 + (16 * i), 8))}\n");
        }

        return text.ToString();
    }

    private static string Hex(ReadOnlySpan<byte> bytes)
    {
        byte[] reversed = bytes.ToArray();
        Array.Reverse(reversed);
        return Convert.ToHexString(reversed);
    }
}
