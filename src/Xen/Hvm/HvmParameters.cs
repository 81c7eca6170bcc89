namespace Dbt.Xen.Hvm;

/// <summary>
/// The parameters of an HVM domain (public/hvm/params.h): those that a PVH guest can get at. Any thread may read; the guest's writes come
/// from its processors.
/// </summary>
internal sealed class HvmParameters
{
    /// <summary>HVM_PARAM_*.</summary>
    public const uint CallbackIrq = 0, StorePfn = 1, StorePort = 2, Vm86Tss = 15, ConsolePfn = 17, ConsolePort = 18, FipWidth = 36,
        Vm86TssSized = 37;

    /// <summary>Parameters that exist (HVM_NR_PARAMS).</summary>
    public const uint Count = 39;

    private const int CallbackTypeShift = 56;
    private const ulong CallbackTypeVector = 2;

    private readonly ulong[] _values = new ulong[Count];

    /// <summary>A parameter's value; the index is below <see cref="Count"/>.</summary>
    public ulong this[uint index]
    {
        get => Volatile.Read(ref _values[index]);
        set => Volatile.Write(ref _values[index], value);
    }

    /// <summary>The vector of HVM_PARAM_CALLBACK_IRQ where its type is that of a vector; 0 for none.</summary>
    public int CallbackVector
    {
        get
        {
            ulong callback = this[CallbackIrq];
            return callback >> CallbackTypeShift == CallbackTypeVector ? (byte)callback : 0;
        }
    }

    /// <summary>Whether the guest may read one (Xen's hvm_allow_get_param).</summary>
    public static bool IsReadable(uint index) =>
        index is CallbackIrq or StorePfn or StorePort or Vm86Tss or ConsolePfn or ConsolePort or FipWidth or Vm86TssSized;

    /// <summary>Whether the guest may write one (Xen's hvm_allow_set_param).</summary>
    public static bool IsWritable(uint index) => index is CallbackIrq or Vm86Tss or Vm86TssSized;
}
