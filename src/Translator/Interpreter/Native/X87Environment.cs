namespace Dbt.Translator.Interpretation.Native;

/// <summary>
/// The x87 environment in memory: 28 bytes with 32-bit operands, 14 with 16-bit ones (SDM vol. 1, figures 8-9 to 8-12). In virtual-8086
/// mode its pointers are linear addresses, without selectors.
/// </summary>
internal static unsafe class X87Environment
{
    /// <summary>28 or 14, from the size of the whole memory operand (108 or 28, 94 or 14).</summary>
    public static int Size(int operand) => operand is 94 or 14 ? 14 : 28;

    /// <summary>Writes the environment.</summary>
    public static void Store(FxState* state, byte* memory, int size, bool virtual8086)
    {
        int step = size / 7;
        Put(memory, step, 0, state->ControlWord, 0xFFFF0000);
        Put(memory, step, 1, state->StatusWord, 0xFFFF0000);
        Put(memory, step, 2, FullTags(state), 0xFFFF0000);
        if (virtual8086)
        {
            uint code = state->InstructionPointer + ((uint)state->CodeSelector << 4), data = state->DataPointer + ((uint)state->DataSelector << 4);
            Put(memory, step, 3, code & 0xFFFF, 0);
            Put(memory, step, 4, (code >> 16 << 12) | (state->Opcode & 0x7FFu), 0);
            Put(memory, step, 5, data & 0xFFFF, 0);
            Put(memory, step, 6, data >> 16 << 12, 0);
            return;
        }

        Put(memory, step, 3, state->InstructionPointer, 0);
        Put(memory, step, 4, state->CodeSelector | ((uint)(state->Opcode & 0x7FF) << 16), 0);
        Put(memory, step, 5, state->DataPointer, 0);
        Put(memory, step, 6, state->DataSelector, 0xFFFF0000);
    }

    /// <summary>Reads the environment.</summary>
    public static void Load(FxState* state, byte* memory, int size, bool virtual8086)
    {
        int step = size / 7;
        int oldTop = state->Top;
        state->ControlWord = (ushort)((Get(memory, step, 0) & 0x1F7F) | 0x40);
        state->StatusWord = (ushort)Get(memory, step, 1);
        uint tags = Get(memory, step, 2);
        state->Tags = 0;
        for (int i = 0; i < 8; i++)
        {
            state->Tags |= (byte)(((tags >> (2 * i)) & 3) != 3 ? 1 << i : 0);
        }

        uint code = Get(memory, step, 4), data = Get(memory, step, 6);
        state->InstructionPointer = Get(memory, step, 3);
        state->DataPointer = Get(memory, step, 5);
        if (virtual8086)
        {
            state->InstructionPointer = (state->InstructionPointer & 0xFFFF) | (code >> 12 << 16);
            state->DataPointer = (state->DataPointer & 0xFFFF) | (data >> 12 << 16);
            state->CodeSelector = state->DataSelector = 0;
            state->Opcode = (ushort)(code & 0x7FF);
        }
        else
        {
            state->CodeSelector = (ushort)code;
            state->Opcode = step == 4 ? (ushort)((code >> 16) & 0x7FF) : (ushort)0;
            state->DataSelector = (ushort)data;
        }

        state->UpdateSummary();
        Turn(state, oldTop);
    }

    // The registers' places in the area follow TOP.
    private static void Turn(FxState* state, int oldTop)
    {
        int by = (state->Top - oldTop) & 7;
        if (by == 0)
        {
            return;
        }

        byte* old = stackalloc byte[128];
        System.Runtime.CompilerServices.Unsafe.CopyBlockUnaligned(old, state->Stack, 128);
        for (int i = 0; i < 8; i++)
        {
            System.Runtime.CompilerServices.Unsafe.CopyBlockUnaligned(state->Stack + (16 * i), old + (16 * ((i + by) & 7)), 16);
        }
    }

    // Two bits a physical register: 0 valid, 1 zero, 2 special, 3 empty.
    private static uint FullTags(FxState* state)
    {
        uint tags = 0;
        for (int physical = 0; physical < 8; physical++)
        {
            byte* value = state->Stack + (16 * ((physical - state->Top) & 7));
            ulong significand = *(ulong*)value;
            int exponent = *(ushort*)(value + 8) & 0x7FFF;
            uint tag = (state->Tags & (1 << physical)) == 0 ? 3u
                : exponent == 0x7FFF ? 2u
                : exponent == 0 ? (significand == 0 ? 1u : 2u)
                : (significand >> 63) == 0 ? 2u : 0u;
            tags |= tag << (2 * physical);
        }

        return tags;
    }

    private static void Put(byte* memory, int step, int index, uint value, uint upper)
    {
        if (step == 4)
        {
            ((uint*)memory)[index] = value | upper;
        }
        else
        {
            ((ushort*)memory)[index] = (ushort)value;
        }
    }

    private static uint Get(byte* memory, int step, int index) => step == 4 ? ((uint*)memory)[index] : ((ushort*)memory)[index];
}
