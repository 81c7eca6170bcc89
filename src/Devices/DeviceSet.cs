using Dbt.Runtime;

namespace Dbt.Devices;

/// <summary>A back end that can be taken from a running guest.</summary>
internal interface IDetachable : IDisposable
{
    /// <summary>Completes when the guest has closed the device.</summary>
    Task Released { get; }

    /// <summary>Asks the guest to close the device.</summary>
    void BeginDetach();
}

/// <summary>A domain's devices of one kind, attached and detached while it runs. Thread-safe.</summary>
internal sealed class DeviceSet<T> : IDisposable
    where T : class, IDetachable
{
    private readonly Lock _lock = new();
    private readonly List<T> _devices = [];
    private bool _disposed;

    /// <summary>Reads something of each device, in the order in which they were attached; none is disposed of meanwhile.</summary>
    public List<TResult> ConvertAll<TResult>(Converter<T, TResult> converter)
    {
        lock (_lock)
        {
            return _devices.ConvertAll(converter);
        }
    }

    /// <summary>Does something with each device; none is disposed of meanwhile.</summary>
    public void ForEach(Action<T> action)
    {
        lock (_lock)
        {
            _devices.ForEach(action);
        }
    }

    /// <summary>Makes a device and keeps it, unless there is one like it.</summary>
    /// <exception cref="HostException">The guest has ended, <paramref name="taken"/> says so of a device, or it can't be made.</exception>
    public void Add(Predicate<T> taken, string takenMessage, Func<T> make)
    {
        lock (_lock)
        {
            if (_disposed)
            {
                throw new HostException("the guest has ended");
            }

            if (_devices.Exists(taken))
            {
                throw new HostException(takenMessage);
            }

            _devices.Add(make());
        }
    }

    /// <summary>Asks the guest to close a device and removes it when it has.</summary>
    /// <exception cref="HostException">The guest doesn't close it within <paramref name="timeout"/> and <paramref name="force"/> isn't set.</exception>
    public void Detach(T device, bool force, TimeSpan timeout, string refusal)
    {
        device.BeginDetach();
        if (!device.Released.Wait(timeout) && !force)
        {
            // It goes as soon as the guest lets go of it.
            device.Released.ContinueWith(_ => Remove(device), TaskScheduler.Default);
            throw new HostException(refusal);
        }

        Remove(device);
    }

    /// <summary>Removes a device that has ended.</summary>
    public void Remove(T device)
    {
        lock (_lock)
        {
            if (!_devices.Remove(device))
            {
                return; // somebody else removed it
            }
        }

        device.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        T[] devices;
        lock (_lock)
        {
            _disposed = true;
            devices = [.. _devices];
            _devices.Clear();
        }

        foreach (T device in devices)
        {
            device.Dispose();
        }
    }
}
