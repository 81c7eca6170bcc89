namespace Dbt.Devices;

/// <summary>Milliseconds to wait for a guest that may take what was offered without saying so: 1, 2, 4, up to 250.</summary>
internal struct BackOff
{
    private int _last;

    /// <summary>Starts anew after something moved.</summary>
    public void Reset() => _last = 0;

    /// <summary>The next wait.</summary>
    public int Next() => _last = Math.Clamp(_last * 2, 1, 250);
}
