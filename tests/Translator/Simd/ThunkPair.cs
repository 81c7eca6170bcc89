using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Dbt.Tests.Translator.Oracle;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Tests.Translator.Simd;

/// <summary>Runs one instruction by the host's own code and in C#, from the same state, and compares all that comes out.</summary>
internal sealed unsafe class ThunkPair : IDisposable
{
    // What is tiny may be flushed to zero or not (SDM vol. 2, RCPPS).
    private const float LeastNormal = 1.17549435E-38f;

    private readonly byte* _memory = (byte*)NativeMemory.AlignedAlloc(4096, 64);
    private readonly byte[] _start = new byte[16];

    /// <summary>Draws operands for an encoding; null where they do not go together, or the host can't execute it.</summary>
    public static Instruction? Draw(InstructionGenerator generator, Code code)
    {
        byte[]? bytes = generator.Generate(code);
        if (bytes is null)
        {
            return null;
        }

        Instruction instruction = Iced.Intel.Decoder.Create(32, bytes).Decode();
        return instruction.Code == code && !instruction.IsInvalid && NativeThunks.Supports(instruction) ? instruction : null;
    }

    /// <summary>One random state through both. Null where they agree, else what differs.</summary>
    /// <param name="random">Where the state comes from.</param>
    /// <param name="instruction">As decoded.</param>
    /// <param name="tolerance">Greatest relative error of a single-precision lane of the result; 0 for bit by bit.</param>
    public string? Run(Random random, in Instruction instruction, double tolerance = 0)
    {
        NativeThunk native = NativeThunks.Get(NativeThunks.Find(instruction, portable: false));
        NativeThunk portable = NativeThunks.Get(NativeThunks.Find(instruction, portable: true));
        byte[] fx = FxStates.Make(random);

        // Exceptions wait for the caller: none pending in x87, all masked in SSE, and no flags yet.
        fx[2] &= 0x40;
        fx[3] &= 0x7F;
        uint mxcsr = (BinaryPrimitives.ReadUInt32LittleEndian(fx.AsSpan(24)) & 0xFFC0) | 0x1F80;
        BinaryPrimitives.WriteUInt32LittleEndian(fx.AsSpan(24), mxcsr);
        FxStates.FillMemory(random, _start);
        NativeRegisters registers = default;
        registers.Eax = Length(random);
        registers.Edx = Length(random);
        registers.Explicit = Backgrounds.Value(random);
        registers.Eflags = ((uint)random.Next() & Flags.Status) | Flags.Fixed;
        registers.Mxcsr = mxcsr;

        byte* first = Arrange(fx, 0), second = Arrange(fx, 1024);
        NativeRegisters one = registers, other = registers;
        if (native.ExpectsMmx)
        {
            ((FxState*)first)->EnterMmx();
        }

        native.Run(first, first + 512, &one);
        portable.Run(second, second + 512, &other);

        var text = new StringBuilder();
        Compare(text, "ecx", native.WritesEcx, one.Ecx, other.Ecx);
        Compare(text, "register", native.WritesRegister, one.Explicit, other.Explicit);
        Compare(text, "flags", native.WritesFlags, one.Eflags & Flags.Status, other.Eflags & Flags.Status);
        Compare(text, "mxcsr", !native.WholeArea, one.Mxcsr, other.Mxcsr);
        Span(text, "memory", new(first + 512, 16), new(second + 512, 16), tolerance);
        if (native.ExpectsMmx && native.WrittenXmm >= 0)
        {
            new ReadOnlySpan<byte>(one.Xmm, 16).CopyTo(new(first + 160 + (16 * native.WrittenXmm), 16));
        }

        if (portable.WholeArea)
        {
            text.Append(FxComparer.Compare(new(first, 512), new(second, 512)));
        }
        else if (native.WrittenXmm >= 0)
        {
            Span(text, "result", new(one.Xmm, 16), new(other.Xmm, 16), tolerance);
        }

        if (native.Quick != null && (mxcsr & ~0x3Fu) == 0x1F80)
        {
            // Under the host's own MXCSR the same comes out, flags apart.
            NativeRegisters quick = registers;
            native.Quick(first, first + 512, &quick);
            Compare(text, "register, quickly", native.WritesRegister, one.Explicit, quick.Explicit);
            Compare(text, "flags, quickly", native.WritesFlags, one.Eflags & Flags.Status, quick.Eflags & Flags.Status);
            Compare(text, "mxcsr, quickly", (one.Mxcsr & ~quick.Mxcsr) != 0, one.Mxcsr, quick.Mxcsr);
            if (native.WrittenXmm >= 0)
            {
                Span(text, "result, quickly", new(one.Xmm, 16), new(quick.Xmm, 16), 0);
            }
        }

        if (text.Length == 0)
        {
            return null;
        }

        text.AppendLine($"{instruction} {native.MemorySize}, mxcsr {mxcsr:X}, eax {registers.Eax:X}, edx {registers.Edx:X}, register {registers.Explicit:X}");
        text.AppendLine($"memory {Reversed(_start)}");
        for (int i = 0; i < 8; i++)
        {
            text.AppendLine($"xmm{i} {Reversed(fx.AsSpan(160 + (16 * i), 16))} st{i} {Reversed(fx.AsSpan(32 + (16 * i), 10))}");
        }

        return text.ToString();
    }

    public void Dispose() => NativeMemory.AlignedFree(_memory);

    private static uint Length(Random random) => random.Next(3) switch
    {
        0 => (uint)random.Next(-20, 21),
        1 => (uint)random.Next(0, 18),
        _ => Backgrounds.Value(random),
    };

    private static void Compare(StringBuilder text, string name, bool counts, uint native, uint portable)
    {
        if (counts && native != portable)
        {
            text.AppendLine($"{name}: native {native:X}, portable {portable:X}");
        }
    }

    private static void Span(StringBuilder text, string name, ReadOnlySpan<byte> native, ReadOnlySpan<byte> portable, double tolerance)
    {
        if (!native.SequenceEqual(portable) && !(tolerance > 0 && Near(native, portable, tolerance)))
        {
            text.AppendLine($"{name}: native {Reversed(native)}, portable {Reversed(portable)}");
        }
    }

    private static bool Near(ReadOnlySpan<byte> native, ReadOnlySpan<byte> portable, double tolerance)
    {
        for (int i = 0; i < 16; i += 4)
        {
            float a = BinaryPrimitives.ReadSingleLittleEndian(native[i..]), b = BinaryPrimitives.ReadSingleLittleEndian(portable[i..]);
            if (BitConverter.SingleToUInt32Bits(a) != BitConverter.SingleToUInt32Bits(b) && !(Math.Abs((double)a - b) <= tolerance * Math.Abs((double)a)) && !(Math.Abs(a) <= LeastNormal && Math.Abs(b) <= LeastNormal))
            {
                return false;
            }
        }

        return true;
    }

    private static string Reversed(ReadOnlySpan<byte> bytes)
    {
        byte[] copy = bytes.ToArray();
        Array.Reverse(copy);
        return Convert.ToHexString(copy);
    }

    private byte* Arrange(byte[] fx, int offset)
    {
        fx.CopyTo(new Span<byte>(_memory + offset, 512));
        _start.CopyTo(new Span<byte>(_memory + offset + 512, 16));
        return _memory + offset;
    }
}
