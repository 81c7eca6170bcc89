namespace Dbt.Translator.Interpretation.Native;

/// <summary>The x87 environment in memory: 28 bytes with 32-bit operands, 14 with 16-bit ones (SDM vol. 1, figures 8-9 and 8-11).</summary>
internal static unsafe class X87Environment
{
    /// <summary>28 or 14, from the size of the whole memory operand (108 or 28, 94 or 14).</summary>
    public static int Size(int operand) => operand is 94 or 14 ? 14 : 28;

    /// <summary>Writes the environment.</summary>
    public static void Store(FxState* state, byte* memory, int size)
    {
        int step = size / 7;
        Put(memory, step, 0, state->ControlWord, 0xFFFF0000);
        Put(memory, step, 1, state->StatusWord, 0xFFFF0000);
        Put(memory, step, 2, FullTags(state), 0xFFFF0000);
        Put(memory, step, 3, state->InstructionPointer, 0);
        Put(memory, step, 4, state->CodeSelector | ((uint)(state->Opcode & 0x7FF) << 16), 0);
        Put(memory, step, 5, state->DataPointer, 0);
        Put(memory, step, 6, state->DataSelector, 0xFFFF0000);
    }

    /// <summary>Reads the environment.</summary>
    public static void Load(FxState* state, byte* memory, int size)
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

        state->InstructionPointer = Get(memory, step, 3);
        uint code = Get(memory, step, 4);
        state->CodeSelector = (ushort)code;
        state->Opcode = step == 4 ? (ushort)((code >> 16) & 0x7FF) : (ushort)0;
        state->DataPointer = Get(memory, step, 5);
        state->DataSelector = (ushort)Get(memory, step, 6);
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
