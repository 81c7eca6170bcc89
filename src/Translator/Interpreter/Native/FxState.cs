using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Dbt.Translator.Interpretation.Native;

/// <summary>The head of FXSAVE's area in its 32-bit layout (SDM vol. 1, table 10-2).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct FxState
{
    /// <summary>Bit ES of the status word: an unmasked exception waits.</summary>
    public const ushort ErrorSummary = 0x80;

    /// <summary>Bit B of the status word, which follows ES.</summary>
    public const ushort Busy = 0x8000;

#pragma warning disable CS1591 // the manual's own names
    public ushort ControlWord;
    public ushort StatusWord;
    public byte Tags;
    public byte Reserved;
    public ushort Opcode;
    public uint InstructionPointer;
    public ushort CodeSelector;
    public ushort Reserved2;
    public uint DataPointer;
    public ushort DataSelector;
    public ushort Reserved3;
    public uint Mxcsr;
    public uint MxcsrMask;
#pragma warning restore CS1591

    /// <summary>ST(0) to ST(7), each in 16 bytes; MM registers are their low halves, by physical number.</summary>
    public fixed byte Stack[128];

    /// <summary>XMM0 to XMM7.</summary>
    public fixed byte Xmm[128];

    /// <summary>TOP.</summary>
    public readonly int Top => (StatusWord >> 11) & 7;

    /// <summary>What every MMX instruction does first: TOP 0, all registers valid (SDM vol. 1, 9.5.1).</summary>
    public void EnterMmx()
    {
        RotateToZero();
        Tags = 0xFF;
    }

    /// <summary>Makes TOP 0. The area holds ST(0) first, so the same physical registers then have other places.</summary>
    public void RotateToZero()
    {
        int top = Top;
        if (top == 0)
        {
            return;
        }

        byte* old = stackalloc byte[128];
        fixed (byte* stack = Stack)
        {
            Unsafe.CopyBlockUnaligned(old, stack, 128);
            for (int physical = 0; physical < 8; physical++)
            {
                Unsafe.CopyBlockUnaligned(stack + (16 * physical), old + (16 * ((physical - top) & 7)), 16);
            }
        }

        StatusWord &= 0xC7FF;
    }

    /// <summary>Adds to TOP without a look at tags. All registers move, as the area holds ST(0) first.</summary>
    /// <param name="by">1, or 7 to go back by one.</param>
    public void Turn(int by)
    {
        fixed (byte* stack = Stack)
        {
            if (by == 1)
            {
                Vector128<byte> first = Vector128.Load(stack);
                Buffer.MemoryCopy(stack + 16, stack, 112, 112);
                first.Store(stack + 112);
            }
            else
            {
                Vector128<byte> last = Vector128.Load(stack + 112);
                Buffer.MemoryCopy(stack, stack + 16, 112, 112);
                last.Store(stack);
            }
        }

        StatusWord = (ushort)((StatusWord & ~0x3800) | (((Top + by) & 7) << 11));
    }

    /// <summary>Brings ES and B in line with flags and masks.</summary>
    public void UpdateSummary()
    {
        bool waiting = (StatusWord & 0x3F & ~ControlWord) != 0;
        StatusWord = (ushort)((StatusWord & ~(ErrorSummary | Busy)) | (waiting ? ErrorSummary | Busy : 0));
    }
}
