using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Dbt.Translator.Interpretation.Portable;
using Dbt.Translator.Memory;
using Dbt.Translator.Simd;
using Iced.Intel;

namespace Dbt.Translator.Interpretation.Native;

/// <summary>All thunks of the process, one for each distinct encoding met. Thread-safe.</summary>
internal static unsafe class NativeThunks
{
    /// <summary>Bytes of host code at most: some hundred thousand encodings, more than any program has.</summary>
    private const int Capacity = 64 << 20;

    /// <summary>No thunk takes more.</summary>
    private const int MaxThunk = 512;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<(Instruction Key, bool Managed), int> Known = [];
    private static readonly HashSet<CpuidFeature> Features = HostFeatures();
    private static byte* _memory;
    private static int _used;
    private static NativeThunk[] _thunks = new NativeThunk[256];
    private static int _count;

    /// <summary>A thunk by its number.</summary>
    public static NativeThunk Get(int number) => Volatile.Read(ref _thunks)[number];

    /// <summary>Whether the host can execute an instruction.</summary>
    public static bool Supports(in Instruction instruction)
    {
        foreach (CpuidFeature feature in instruction.CpuidFeatures)
        {
            if (!Features.Contains(feature))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The thunk of an instruction, made where there is none yet.</summary>
    /// <param name="guest">As decoded.</param>
    /// <param name="portable">Managed code is preferred to the host's own.</param>
    /// <returns>Its number; -1 where there is neither managed code nor host code for it, or no more room.</returns>
    public static int Find(in Instruction guest, bool portable = false)
    {
        bool native = Supports(guest);
        ManagedRoutine? managed = portable || !native ? (ManagedRoutine?)PortableSimd.Find(guest) ?? PortableX87.Find(guest) : null;
        if (!native && managed == null)
        {
            return -1;
        }

        Instruction key = ThunkAssembler.Canonical(guest, out Register general);
        // The register that r8d stands for is part of the identity; so is the memory operand's presence, which the key shows.
        key.MemoryDisplacement64 = (ulong)general;
        lock (Gate)
        {
            if (Known.TryGetValue((key, managed != null), out int number))
            {
                return number;
            }

            if (managed != null)
            {
                return Add(key, ThunkAssembler.Wrap(guest, managed));
            }

            if (_memory == null)
            {
                _memory = HostMemory.Reserve(Capacity, executable: true);
            }

            if (_used + MaxThunk > Capacity)
            {
                return -1;
            }

            NativeThunk thunk = ThunkAssembler.Assemble(guest, _memory + _used, out int length);
            _used += (length + 15) & ~15;
            return Add(key, thunk);
        }
    }

    private static int Add(in Instruction key, NativeThunk thunk)
    {
        if (_count == _thunks.Length)
        {
            NativeThunk[] larger = new NativeThunk[_count * 2];
            _thunks.CopyTo(larger, 0);
            Volatile.Write(ref _thunks, larger);
        }

        _thunks[_count] = thunk;
        Known[(key, thunk.Managed != null)] = _count;
        return _count++;
    }

    private static HashSet<CpuidFeature> HostFeatures()
    {
        HashSet<CpuidFeature> features = [];
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            return features;
        }

        // Every x86-64 host has these.
        features.UnionWith(
        [
            CpuidFeature.FPU, CpuidFeature.FPU287, CpuidFeature.FPU387, CpuidFeature.CMOV, CpuidFeature.MMX, CpuidFeature.FXSR,
            CpuidFeature.SSE, CpuidFeature.SSE2,
        ]);
        Add(Sse3.IsSupported, CpuidFeature.SSE3);
        Add(Ssse3.IsSupported, CpuidFeature.SSSE3);
        Add(Sse41.IsSupported, CpuidFeature.SSE4_1);
        Add(Sse42.IsSupported, CpuidFeature.SSE4_2);
        Add(Aes.IsSupported, CpuidFeature.AES);
        Add(Pclmulqdq.IsSupported, CpuidFeature.PCLMULQDQ);
        return features;

        void Add(bool supported, CpuidFeature feature)
        {
            if (supported)
            {
                features.Add(feature);
            }
        }
    }
}
